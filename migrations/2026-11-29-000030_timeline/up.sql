-- Where the history was begun: the system and the timeline of a PostgreSQL server, or an SQLite file. On another one,
-- nothing that was filled from it before is believed. Empty: it is not known, and a history begins anew.
ALTER TABLE lineage ADD COLUMN timeline TEXT NOT NULL DEFAULT '';
