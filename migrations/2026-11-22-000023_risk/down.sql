DROP INDEX sessions_history;
