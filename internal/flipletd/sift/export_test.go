package sift

// The coercions are tested one by one against recorded JavaScript answers.
var (
	ToNumber     = toNumber
	ParseFloat   = parseFloat
	RangeNumber  = rangeNumber
	ParseDate    = parseDate
	AppendNumber = appendNumber
	Lower        = lower
)
