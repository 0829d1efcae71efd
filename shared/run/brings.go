package run

// BringsAll says whether the run's end tells how its generation came to the targets: it was about all of them, or took up again what one that was had left.
func (r Run) BringsAll() bool {
	switch r.Type {
	case Deploy, Sync, Rollback:
		return len(r.Only) == 0 || r.RedriveOf != ""
	}
	return false
}

// IsRollback says whether the run moved the targets to another generation that was there before; a redrive of one did not.
func (r Run) IsRollback() bool { return r.Type == Rollback && r.RedriveOf == "" }
