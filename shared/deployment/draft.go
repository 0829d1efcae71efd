package deployment

import "time"

// Draft is an intent that was not accepted, only asked about: the deployment and the generation as they would be.
type Draft struct {
	Deployment      Deployment
	Generation      Generation
	ExpectedVersion int64 // of the deployment that it was made from; 0: it would be created
}

// Basis is the draft without who asked, when, and under which id: two that ask for the same of the same world have the same.
func (d Draft) Basis() Draft {
	head, g := &d.Deployment, &d.Generation
	if d.ExpectedVersion == 0 {
		head.ID, g.DeploymentID = "", ""
	}
	head.CreatedAt, head.UpdatedAt, head.CreatedBy, head.LastRun = time.Time{}, time.Time{}, "", ""
	g.CreatedAt, g.CreatedBy, g.RunID, g.PlanHash = time.Time{}, "", "", ""
	return d
}

// Plan is what is known of a plan beside its entries: the draft that it is of, and the run that made it.
type Plan struct {
	Hash      string
	RunID     string
	Draft     Draft
	CreatedAt time.Time
	CreatedBy string
	ExpiresAt time.Time // it is refused from then on
}

// PlanKept is how long a plan can be read and applied.
const PlanKept = 30 * 24 * time.Hour
