package pgsource

import "penstock"

var _ penstock.ByHand = (*Source)(nil)

// ForgetByHand implements penstock.ByHand.
func (s *Source) ForgetByHand(id penstock.IntegrationID) []string {
	return []string{
		"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database() AND starts_with(slot_name::text, '" + slotPrefix(id) + "');",
		"DROP PUBLICATION IF EXISTS " + quote(publicationName(id)) + ", " + quote(appendPublicationName(id)) + ";",
	}
}
