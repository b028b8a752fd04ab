DROP INDEX users_subject;
ALTER TABLE users DROP COLUMN claims;
ALTER TABLE users DROP COLUMN subject;
DROP TABLE issued_keys;
DROP TABLE service_credentials;
DROP TABLE services;
