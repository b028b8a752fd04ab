-- Where a session was signed in from, as the location file said then; nothing where there was none.
ALTER TABLE sessions ADD COLUMN country   TEXT; -- ISO 3166-1, two letters
ALTER TABLE sessions ADD COLUMN city      TEXT;
ALTER TABLE sessions ADD COLUMN asn       BIGINT; -- the autonomous system: whose network it is
ALTER TABLE sessions ADD COLUMN network   TEXT; -- that system's name
ALTER TABLE sessions ADD COLUMN latitude  DOUBLE PRECISION;
ALTER TABLE sessions ADD COLUMN longitude DOUBLE PRECISION;

-- What its User-Agent said then.
ALTER TABLE sessions ADD COLUMN browser TEXT;
ALTER TABLE sessions ADD COLUMN os      TEXT;

-- `last_ip` as sixteen bytes (IPv4 mapped into IPv6): a network is a range of them.
ALTER TABLE sessions ADD COLUMN last_ip_key BYTEA;

-- The weight of what speaks against it; 0 is nothing.
ALTER TABLE sessions ADD COLUMN risk BIGINT NOT NULL DEFAULT 0;

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
