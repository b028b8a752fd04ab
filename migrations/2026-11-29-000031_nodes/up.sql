-- The nodes that serve from this database, each with the settings that all must share. A row that is not renewed is of a
-- node that is gone.
CREATE TABLE nodes (
    name     TEXT   PRIMARY KEY NOT NULL,
    -- VARIABLE=value, one a line; of a secret, its fingerprint.
    settings TEXT   NOT NULL,
    beat_at  BIGINT NOT NULL
);
