ALTER TABLE lineage DROP COLUMN watched;
DROP TABLE node_leases;
