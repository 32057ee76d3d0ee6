CREATE TABLE {store} (
	namespace text COLLATE "C" NOT NULL,
	key bytea NOT NULL,
	value bytea NOT NULL,
	-- How often the row was written since it was made.
	version bigint NOT NULL DEFAULT 1,
	changed timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (namespace, key)
) WITH (fillfactor = 70); -- room to update a row where it is

-- Which keys somebody waits for, and until when. It may be lost: who waits says it again.
CREATE UNLOGGED TABLE {watch} (
	namespace text COLLATE "C" NOT NULL,
	key bytea NOT NULL,
	until timestamptz NOT NULL,
	PRIMARY KEY (namespace, key)
);
