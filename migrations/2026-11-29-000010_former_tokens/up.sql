-- Every token that a session had before its present one. None of them opens it; each of them ends it.
CREATE TABLE former_tokens (
    token_hash BYTEA PRIMARY KEY NOT NULL,
    session_id TEXT  NOT NULL REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX former_tokens_session ON former_tokens (session_id);
INSERT INTO former_tokens (token_hash, session_id)
    SELECT DISTINCT previous_token_hash, id FROM sessions WHERE previous_token_hash IS NOT NULL;

DROP INDEX sessions_previous_token;
ALTER TABLE sessions DROP COLUMN previous_token_hash;
