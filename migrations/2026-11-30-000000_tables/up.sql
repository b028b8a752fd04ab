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
    created_at    BIGINT NOT NULL,
    -- A deleted account stays as a row without anything personal for as long as rows of its sessions do.
    deleted_at    BIGINT,
    -- Since when nothing personal is left of it anywhere.
    erased_at     BIGINT
);
CREATE INDEX users_deleted ON users (id) WHERE deleted_at IS NOT NULL;
-- Accounts with more than the role that all have: who takes one away counts what is left.
CREATE INDEX users_privileged ON users (id) WHERE roles <> 'user';

-- The search names of an account: its address, the address' host, its name and each word of it, as compared. Bytes, so
-- that a prefix is a range in any collation.
CREATE TABLE user_names (
    name    BYTEA NOT NULL,
    user_id TEXT  NOT NULL REFERENCES users (id),
    PRIMARY KEY (name, user_id)
);
CREATE INDEX user_names_user ON user_names (user_id, name);

-- One row for each session ever issued: the authority on whether it lives.
CREATE TABLE sessions (
    id               TEXT    PRIMARY KEY NOT NULL,
    user_id          TEXT    NOT NULL REFERENCES users (id),
    token_hash       BYTEA   NOT NULL UNIQUE,
    created_at       BIGINT  NOT NULL,
    authenticated_at BIGINT  NOT NULL,
    last_seen_at     BIGINT  NOT NULL,
    expires_at       BIGINT  NOT NULL,
    idle_seconds     BIGINT  NOT NULL,
    remember         BOOLEAN NOT NULL,
    sign_in_ip       TEXT    NOT NULL,
    last_ip          TEXT    NOT NULL,
    user_agent       TEXT,
    -- What the application keeps in the session, as JSON.
    data             TEXT,
    ended_at         BIGINT,
    end_reason       TEXT,
    -- Since when the owner has to prove who they are before the session may change anything: it was shown by another
    -- device than the one it is bound to. The proof takes it back.
    challenged_at    BIGINT,
    -- Where the session was signed in from, as the location file said then; nothing without a file.
    country          TEXT, -- ISO 3166-1, two letters
    city             TEXT,
    asn              BIGINT, -- the autonomous system: whose network it is
    network          TEXT, -- that system's name
    latitude         DOUBLE PRECISION,
    longitude        DOUBLE PRECISION,
    -- What its User-Agent said then.
    browser          TEXT,
    os               TEXT,
    -- `last_ip` as sixteen bytes (IPv4 mapped into IPv6): a network is a range of them.
    last_ip_key      BYTEA,
    -- The weight of the signals against it; 0 is none.
    risk             BIGINT  NOT NULL DEFAULT 0,
    -- `sign_in_ip` as sixteen bytes; it never changes.
    sign_in_ip_key   BYTEA,
    -- Where `last_ip` is, as the location file said when the session came there. Nothing while that is `sign_in_ip`.
    last_country     TEXT,
    last_city        TEXT,
    last_asn         BIGINT,
    last_network     TEXT
);

-- What administrators look for among the sessions that have not ended, newest first: an id begins with the moment when
-- it was made. `expires_at` stands beside it so that expired sessions are passed without a look at their rows.
--
-- None on `last_seen_at`: every touch would have to write it, and PostgreSQL then all other indexes of the row, too. A
-- session that was last seen before a moment was made before it, and the ids tell that. `last_ip` changes seldom.
CREATE INDEX sessions_live_of_user ON sessions (user_id, id, expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live ON sessions (id, expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_country ON sessions (country, id, expires_at) WHERE ended_at IS NULL AND country IS NOT NULL;
CREATE INDEX sessions_live_asn ON sessions (asn, id, expires_at) WHERE ended_at IS NULL AND asn IS NOT NULL;
CREATE INDEX sessions_live_browser ON sessions (browser, id, expires_at) WHERE ended_at IS NULL AND browser IS NOT NULL;
CREATE INDEX sessions_live_os ON sessions (os, id, expires_at) WHERE ended_at IS NULL AND os IS NOT NULL;
CREATE INDEX sessions_live_ip ON sessions (last_ip_key, id, expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_sign_in_ip ON sessions (sign_in_ip_key, id, expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_risk ON sessions (risk, id, expires_at) WHERE ended_at IS NULL AND risk > 0;
-- Only sessions that are used elsewhere than they were signed in: the others are found by where that was. Neither a
-- sign-in nor a use from the same place writes them.
CREATE INDEX sessions_live_last_country ON sessions (last_country, id, expires_at)
    WHERE ended_at IS NULL AND last_country IS DISTINCT FROM country;
CREATE INDEX sessions_live_last_asn ON sessions (last_asn, id, expires_at)
    WHERE ended_at IS NULL AND last_asn IS DISTINCT FROM asn;
-- A user's history, and what is old enough to be purged.
CREATE INDEX sessions_ended_of_user ON sessions (user_id, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Every token that a session had before its present one. None of them opens it; each of them ends it.
CREATE TABLE former_tokens (
    token_hash BYTEA PRIMARY KEY NOT NULL,
    session_id TEXT  NOT NULL REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX former_tokens_session ON former_tokens (session_id);

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
-- Lines are read newest first, by their ids: those begin with the time.
CREATE INDEX audit_user ON audit (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_session ON audit (session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX audit_event ON audit (event, id);
CREATE INDEX audit_actor ON audit (actor, id);

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
    ancestors   TEXT    NOT NULL,
    -- Where the history was begun: the system and the timeline of a PostgreSQL server, or an SQLite file. On another one,
    -- nothing that was filled from it before is believed. Empty: it is not known, and a history begins anew.
    timeline    TEXT    NOT NULL DEFAULT ''
);

-- The nodes that serve from this database, each with the settings that all must share. A row that is not renewed is of a
-- node that is gone.
CREATE TABLE nodes (
    name     TEXT   PRIMARY KEY NOT NULL,
    -- VARIABLE=value, one a line; of a secret, its fingerprint.
    settings TEXT   NOT NULL,
    beat_at  BIGINT NOT NULL
);

-- What somebody should look at: why, and which sessions.
CREATE TABLE alerts (
    id              TEXT   PRIMARY KEY NOT NULL,
    opened_at       BIGINT NOT NULL,
    user_id         TEXT   NOT NULL,
    risk            BIGINT NOT NULL,
    -- What was done about it: alert, step_up, revoke.
    action          TEXT   NOT NULL,
    -- The signals as JSON: name, weight, and the reason in words.
    signals         TEXT   NOT NULL,
    acknowledged_at BIGINT,
    -- The administrator's user id, or "command line".
    acknowledged_by TEXT
);
CREATE INDEX alerts_open ON alerts (id) WHERE acknowledged_at IS NULL;
CREATE INDEX alerts_user ON alerts (user_id, id);

CREATE TABLE alert_sessions (
    alert_id   TEXT NOT NULL REFERENCES alerts (id),
    session_id TEXT NOT NULL,
    PRIMARY KEY (alert_id, session_id)
);
CREATE INDEX alert_sessions_session ON alert_sessions (session_id);

-- What another system is still to be told, and for some days what it was told. A row is added in the transaction of what
-- it tells about; without a webhook there are none.
CREATE TABLE webhook_outbox (
    -- The message's id, the same at every attempt: a receiver that has seen it takes it no second time.
    id         TEXT   PRIMARY KEY NOT NULL,
    -- The user whose event it is: messages of one key are delivered in order, one after the other.
    ordering_key TEXT NOT NULL,
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
CREATE INDEX webhook_outbox_order ON webhook_outbox (ordering_key, position, id) WHERE done_at IS NULL;
CREATE INDEX webhook_outbox_done ON webhook_outbox (outcome, done_at) WHERE done_at IS NOT NULL;
