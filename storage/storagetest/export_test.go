package storagetest

// ToldWithin is where a test of a watch gives up.
var ToldWithin = &toldWithin
