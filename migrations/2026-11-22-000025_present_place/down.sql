DROP INDEX sessions_live_last_asn;
DROP INDEX sessions_live_last_country;
ALTER TABLE sessions DROP COLUMN last_network;
ALTER TABLE sessions DROP COLUMN last_asn;
ALTER TABLE sessions DROP COLUMN last_city;
ALTER TABLE sessions DROP COLUMN last_country;
