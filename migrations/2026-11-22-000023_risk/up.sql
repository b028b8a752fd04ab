-- What risk compares a sign-in with: the user's newest sessions, ended or not.
CREATE INDEX sessions_history ON sessions (user_id, created_at);
