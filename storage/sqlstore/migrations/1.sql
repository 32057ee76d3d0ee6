CREATE TABLE fliplet_chat_values (
	key   BLOB NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
);
