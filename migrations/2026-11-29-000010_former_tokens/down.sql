ALTER TABLE sessions ADD COLUMN previous_token_hash BYTEA;
CREATE INDEX sessions_previous_token ON sessions (previous_token_hash) WHERE previous_token_hash IS NOT NULL;
UPDATE sessions SET previous_token_hash =
    (SELECT token_hash FROM former_tokens WHERE former_tokens.session_id = sessions.id ORDER BY token_hash LIMIT 1);
DROP TABLE former_tokens;
