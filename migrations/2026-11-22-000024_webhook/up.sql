-- What another system is still to be told, and for some days what it was told. A row is added in the transaction of what
-- it tells about; without a webhook there are none.
CREATE TABLE webhook_outbox (
    -- The message's id, the same at every attempt: a receiver that has seen it takes it no second time.
    id         TEXT   PRIMARY KEY NOT NULL,
    -- Whose events they are: within a lane they are told in this order, one after the other.
    lane       TEXT   NOT NULL,
    position   BIGINT NOT NULL,
    event      TEXT   NOT NULL,
    -- The body, which is signed anew at every attempt and never changed.
    body       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    -- Not before; for what a node is telling now, when the others may take it for dead.
    next_at    BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    -- The name of the claim of whoever is telling it.
    claim      TEXT,
    last_error TEXT,
    done_at    BIGINT,
    -- delivered, given_up
    outcome    TEXT
);
CREATE INDEX webhook_outbox_due  ON webhook_outbox (next_at, id) WHERE done_at IS NULL;
CREATE INDEX webhook_outbox_lane ON webhook_outbox (lane, position, id) WHERE done_at IS NULL;
CREATE INDEX webhook_outbox_done ON webhook_outbox (outcome, done_at) WHERE done_at IS NOT NULL;
