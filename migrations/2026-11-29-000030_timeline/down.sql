ALTER TABLE lineage DROP COLUMN timeline;
