package main

import (
	"fmt"

	"farmc/cmd/internal/api"
	"farmc/cmd/internal/nftlb"
)

// nftlbOn is the value of --api-nftlb without one.
const nftlbOn = "on"

func (c *call) nftlbFlag() {
	c.set.StringSliceVar(&c.api.nftlb, "api-nftlb", nil, "speak the API of nftlb, too. =lenient: success for values\n"+
		"that have no effect; =marks: a mark for each backend (`words` with commas)")
	c.set.Lookup("api-nftlb").NoOptDefVal = nftlbOn
}

// serveNFTLB adds the API of nftlb if the options ask for it.
func (s *apiServer) serveNFTLB() error {
	choices := api.NFTLB{Dir: s.dirPaths()[0]}
	for _, word := range s.api.nftlb {
		switch word {
		case nftlbOn:
		case "lenient":
			choices.Lenient = true
		case "marks":
			choices.Marks = nftlb.MarksAll
		default:
			return fmt.Errorf("--api-nftlb takes lenient, marks, or both with a comma, not %q", word)
		}
	}
	if s.api.nftlb != nil {
		s.server.ServeNFTLB(choices)
	}
	return nil
}
