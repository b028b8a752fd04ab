-- One portable set for SQLite and PostgreSQL. Ids are text (UUIDv7), times are milliseconds since the epoch.

CREATE TABLE users (
    id            TEXT   PRIMARY KEY NOT NULL,
    email         TEXT   NOT NULL,
    -- NFC and case-folded: what makes two spellings one account.
    email_key     TEXT   NOT NULL UNIQUE,
    name          TEXT,
    password_hash TEXT   NOT NULL,
    roles         TEXT   NOT NULL,
    -- Raised, under the row's lock, by everything that ends all of the user's sessions.
    epoch         BIGINT NOT NULL DEFAULT 0,
    disabled_at   BIGINT,
    created_at    BIGINT NOT NULL
);

-- One row for each session ever issued: the authority on whether it lives.
CREATE TABLE sessions (
    id                  TEXT    PRIMARY KEY NOT NULL,
    user_id             TEXT    NOT NULL REFERENCES users (id),
    token_hash          BYTEA   NOT NULL UNIQUE,
    -- The token before the last renewal: dead, but signing out with it still ends the session.
    previous_token_hash BYTEA,
    created_at          BIGINT  NOT NULL,
    authenticated_at    BIGINT  NOT NULL,
    last_seen_at        BIGINT  NOT NULL,
    expires_at          BIGINT  NOT NULL,
    idle_seconds        BIGINT  NOT NULL,
    remember            BOOLEAN NOT NULL,
    sign_in_ip          TEXT    NOT NULL,
    last_ip             TEXT    NOT NULL,
    user_agent          TEXT,
    -- What the application keeps in the session, as JSON.
    data                TEXT,
    ended_at            BIGINT,
    end_reason          TEXT
);
CREATE INDEX sessions_previous_token ON sessions (previous_token_hash) WHERE previous_token_hash IS NOT NULL;
CREATE INDEX sessions_live_of_user ON sessions (user_id, created_at) WHERE ended_at IS NULL;

-- Records in Redis that may still stand although the ledger has said no: one row for each time that it did.
CREATE TABLE pending_invalidations (
    id         TEXT   PRIMARY KEY NOT NULL,
    token_hash BYTEA  NOT NULL,
    session_id TEXT   NOT NULL,
    since      BIGINT NOT NULL
);
CREATE INDEX pending_invalidations_session ON pending_invalidations (session_id);
CREATE INDEX pending_invalidations_token ON pending_invalidations (token_hash);

-- Which Redis process may speak. A process that was retired stays so for ever.
CREATE TABLE live_store (
    stamp       BYTEA  PRIMARY KEY NOT NULL,
    run_id      TEXT   NOT NULL,
    replid      TEXT   NOT NULL,
    database    BIGINT NOT NULL,
    prefix      TEXT   NOT NULL,
    -- Of a Redis Cluster: the node's name, the slots that it serves, and its configuration epoch. Otherwise empty:
    -- it serves everything.
    node        TEXT   NOT NULL,
    shard       TEXT   NOT NULL,
    epoch       BIGINT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    retired_at  BIGINT
);
CREATE UNIQUE INDEX live_store_current ON live_store (run_id, replid, database, prefix) WHERE retired_at IS NULL;
CREATE INDEX live_store_process ON live_store (run_id);

-- One-time links to set a new password.
CREATE TABLE password_resets (
    token_hash BYTEA  PRIMARY KEY NOT NULL,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX password_resets_user ON password_resets (user_id);

-- What happened, who did it, to whom, from where. Rows are only ever added.
CREATE TABLE audit (
    id         TEXT   PRIMARY KEY NOT NULL,
    at         BIGINT NOT NULL,
    event      TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    user_id    TEXT,
    session_id TEXT,
    ip         TEXT,
    request_id TEXT,
    detail     TEXT
);
CREATE INDEX audit_user ON audit (user_id, at);

-- One row: which ledger this is, and how far its history has come. Redis is told, so that an older copy of the ledger
-- is known for what it is.
CREATE TABLE lineage (
    id          INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    -- Stays the same for ever.
    ledger      TEXT    NOT NULL,
    -- Of the history since the ledger was made, or since a restored copy was declared to be the ledger.
    name        TEXT    NOT NULL,
    -- Raised after whatever must not be forgotten.
    height      BIGINT  NOT NULL,
    -- The histories that were given up for this one, with a space between.
    ancestors TEXT    NOT NULL
);
