package pgsource

import "penstock"

var _ penstock.ByHand = (*Source)(nil)

// ForgetByHand implements penstock.ByHand.
func (s *Source) ForgetByHand(id penstock.IntegrationID) []string {
	var triggers []string
	for _, name := range triggerNames(id) {
		triggers = append(triggers, "DROP EVENT TRIGGER IF EXISTS "+quote(name)+";")
	}
	return append(triggers,
		"DROP SCHEMA IF EXISTS "+quote(publicationName(id))+" CASCADE;",
		"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database() AND starts_with(slot_name::text, '"+slotPrefix(id)+"');",
		"DROP PUBLICATION IF EXISTS "+quote(publicationName(id))+", "+quote(appendPublicationName(id))+";",
	)
}
