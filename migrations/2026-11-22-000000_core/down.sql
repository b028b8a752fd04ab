DROP TABLE lineage;
DROP TABLE audit;
DROP TABLE password_resets;
DROP TABLE live_store;
DROP TABLE pending_invalidations;
DROP TABLE sessions;
DROP TABLE users;
