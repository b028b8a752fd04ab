-- `sign_in_ip` as sixteen bytes, as `last_ip_key` is `last_ip`: it never changes.
ALTER TABLE sessions ADD COLUMN sign_in_ip_key BYTEA;

-- What administrators look for among the sessions that have not ended, newest first: an id begins with the moment when
-- it was made. `expires_at` stands beside it so that what is over is passed without a look at its row.
--
-- None on `last_seen_at`: every touch would have to write it, and PostgreSQL then all other indexes of the row, too.
-- Whatever was last seen before a moment was made before it, and that the ids tell. `last_ip` changes seldom.
DROP INDEX sessions_live_of_user;
CREATE INDEX sessions_live_of_user ON sessions (user_id, id, expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live ON sessions (id, expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_country ON sessions (country, id, expires_at) WHERE ended_at IS NULL AND country IS NOT NULL;
CREATE INDEX sessions_live_asn ON sessions (asn, id, expires_at) WHERE ended_at IS NULL AND asn IS NOT NULL;
CREATE INDEX sessions_live_browser ON sessions (browser, id, expires_at) WHERE ended_at IS NULL AND browser IS NOT NULL;
CREATE INDEX sessions_live_os ON sessions (os, id, expires_at) WHERE ended_at IS NULL AND os IS NOT NULL;
CREATE INDEX sessions_live_ip ON sessions (last_ip_key, id, expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_sign_in_ip ON sessions (sign_in_ip_key, id, expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_live_risk ON sessions (risk, id, expires_at) WHERE ended_at IS NULL AND risk > 0;
