-- Sessions in which an agent or an administrator acts for the user.

-- Who acts: the kind, a colon, the id; of an administrator here also a space, and why. None: an ordinary session.
ALTER TABLE sessions ADD COLUMN actor TEXT;
CREATE INDEX sessions_acting ON sessions (id) WHERE actor IS NOT NULL AND ended_at IS NULL;
