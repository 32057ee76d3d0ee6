package natsrelay_test

func serve()     {}
func replicate() {}
