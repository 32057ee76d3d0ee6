package natsstore

// Encode and Decode are the names of keys.
var (
	Encode = encode
	Decode = decode
)
