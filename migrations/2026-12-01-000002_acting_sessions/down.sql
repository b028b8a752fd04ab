DROP INDEX sessions_acting;
ALTER TABLE sessions DROP COLUMN actor;
