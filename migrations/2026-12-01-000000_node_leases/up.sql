-- The lease of each serving node. No column is a time: other nodes measure on their own stopwatch whether a row stands
-- still. Must never be unlogged: a renewal that is lost must not have been granted.
CREATE TABLE node_leases (
    -- Random for each process, and for each new beginning of one.
    name     TEXT    PRIMARY KEY NOT NULL,
    -- Numbers the attempts to renew; a later one is larger.
    round    BIGINT  NOT NULL,
    -- The last round whose reading of the pending invalidations the node has applied.
    applied  BIGINT  NOT NULL,
    -- Whether the node may answer from copies in its memory.
    copies   BOOLEAN NOT NULL,
    -- How long the row must stand still before the lease is over.
    lease_ms BIGINT  NOT NULL
);

-- The database server that some node has watched for as long as a lease: no lease of an earlier server is left. Empty:
-- not known.
ALTER TABLE lineage ADD COLUMN watched TEXT NOT NULL DEFAULT '';
