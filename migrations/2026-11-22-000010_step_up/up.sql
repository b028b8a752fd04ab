-- Since when a live session's owner has to prove who they are before it may change anything: it was shown by another
-- device than the one it is bound to. Taken back by that proof.
ALTER TABLE sessions ADD COLUMN challenged_at BIGINT;
