package conform

import "slices"

// Probes are all probes, in the order in which they are asked.
func Probes() []Probe {
	return slices.Concat(
		reachProbes()[:13], sourceProbes(), rowProbes(), valueProbes(), batchProbes(), queryProbes(), joinProbes(),
		conversationProbes(), messageProbes(), crossProbes(), pollProbes(), rightsProbes(),
		logProbes(), hookProbes(), fileProbes(), pageProbes(), sizeProbes(), reachProbes()[13:], // what they say has been seen by then
	)
}
