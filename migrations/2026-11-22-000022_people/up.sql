-- An account that was deleted stays as a row without anything personal for as long as rows of its sessions do.
ALTER TABLE users ADD COLUMN deleted_at BIGINT;
-- Since when nothing personal is left of it anywhere.
ALTER TABLE users ADD COLUMN erased_at BIGINT;
CREATE INDEX users_deleted ON users (id) WHERE deleted_at IS NOT NULL;
-- Who has more than the role that everybody has: whoever takes one away counts what is left.
CREATE INDEX users_privileged ON users (id) WHERE roles <> 'user';

-- What an account is found by: its address, the address' host, its name and each word of it, as compared. Bytes, so
-- that a beginning is a range whatever the database's collation.
CREATE TABLE user_names (
    name    BYTEA NOT NULL,
    user_id TEXT  NOT NULL REFERENCES users (id),
    PRIMARY KEY (name, user_id)
);
CREATE INDEX user_names_user ON user_names (user_id, name);
-- Whether they are there: rows from before this table get theirs when a node starts.
ALTER TABLE users ADD COLUMN is_named BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX users_unnamed ON users (id) WHERE is_named = FALSE;

-- A user's history, and what is old enough to be purged.
CREATE INDEX sessions_ended_of_user ON sessions (user_id, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Lines are read newest first, by their ids: those begin with the time.
DROP INDEX audit_user;
CREATE INDEX audit_user ON audit (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_session ON audit (session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX audit_event ON audit (event, id);
CREATE INDEX audit_actor ON audit (actor, id);
