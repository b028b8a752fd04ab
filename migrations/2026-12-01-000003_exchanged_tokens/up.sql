-- Old tokens of applications that were exchanged for a session, until they expire: each counts once.

CREATE TABLE exchanged_tokens (
    -- A hash of the token's own id, or of the token.
    name       BYTEA  PRIMARY KEY NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX exchanged_tokens_expires ON exchanged_tokens (expires_at);
