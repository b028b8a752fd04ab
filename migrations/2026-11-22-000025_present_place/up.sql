-- Where the address that a session was last used from is, as the location file said when it came there. Nothing while
-- that is the address it was signed in from: then it is where it was signed in.
ALTER TABLE sessions ADD COLUMN last_country TEXT;
ALTER TABLE sessions ADD COLUMN last_city    TEXT;
ALTER TABLE sessions ADD COLUMN last_asn     BIGINT;
ALTER TABLE sessions ADD COLUMN last_network TEXT;

-- Only of what is used elsewhere than it was signed in: the others are found by where that was. Neither a sign-in nor a
-- use from the same place writes them.
CREATE INDEX sessions_live_last_country ON sessions (last_country, id, expires_at)
    WHERE ended_at IS NULL AND last_country IS DISTINCT FROM country;
CREATE INDEX sessions_live_last_asn ON sessions (last_asn, id, expires_at)
    WHERE ended_at IS NULL AND last_asn IS DISTINCT FROM asn;
