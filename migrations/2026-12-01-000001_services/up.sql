-- Applications with users of their own, which have their sessions here.

CREATE TABLE services (
    name       TEXT   PRIMARY KEY NOT NULL,
    -- What it may do, in words with spaces between.
    scopes     TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- The secrets of a service. After a rotation there are two, until the older one is over.
CREATE TABLE service_credentials (
    -- The part of the secret that names it.
    id          TEXT   PRIMARY KEY NOT NULL,
    service     TEXT   NOT NULL REFERENCES services (name),
    secret_hash BYTEA  NOT NULL,
    created_at  BIGINT NOT NULL,
    -- From when on it opens nothing; none: it stays.
    expires_at  BIGINT
);
CREATE INDEX service_credentials_service ON service_credentials (service);

-- Requests of services that may be repeated, for a day: what was asked for under a key, and the session that it made.
CREATE TABLE issued_keys (
    name       BYTEA  PRIMARY KEY NOT NULL,
    request    BYTEA  NOT NULL,
    session_id TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX issued_keys_created ON issued_keys (created_at);

-- A user whom an application has verified: its own name for that user, and what it says about them, a JSON object.
ALTER TABLE users ADD COLUMN subject TEXT;
ALTER TABLE users ADD COLUMN claims TEXT;
CREATE UNIQUE INDEX users_subject ON users (subject);
