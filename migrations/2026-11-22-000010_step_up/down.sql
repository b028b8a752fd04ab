ALTER TABLE sessions DROP COLUMN challenged_at;
