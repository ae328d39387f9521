package profiles

import (
	"fmt"
	"time"

	"github.com/minos-os/minos-init/pkg/jsondoc"
)

// Metadata is profile.json: what people want to know of a profile. No boot goes
// by it; the pin is a file of its own.
type Metadata struct {
	Name    string    // for people; "" when they call it by its ID
	Base    string    // the version that the profile was made over
	Origin  string    // what it was made of: "new", "clone of desk", "pristine"
	Created time.Time // zero when that is not known

	document *jsondoc.Value // all of the file, with what others have put there
}

// ParseMetadata reads profile.json. A member that is missing, or no text, is
// empty.
func ParseMetadata(data []byte) (Metadata, error) {
	document, err := jsondoc.Parse(string(data))
	if err != nil {
		return Metadata{}, fmt.Errorf("%s is not understood: %w", MetadataName, err)
	}
	m := Metadata{document: document}
	m.Name, m.Base, m.Origin = document.Get("name").Text(), document.Get("base").Text(), document.Get("origin").Text()
	m.Created, _ = time.Parse(time.RFC3339, document.Get("created").Text())
	return m, nil
}

// Bytes is the file, with what ParseMetadata has found there and does not know.
func (m Metadata) Bytes() []byte {
	document := m.document
	if document == nil {
		document = jsondoc.Object()
	}
	created := ""
	if !m.Created.IsZero() {
		created = m.Created.UTC().Format(time.RFC3339)
	}
	for _, f := range []struct{ key, value string }{
		{"name", m.Name}, {"base", m.Base}, {"origin", m.Origin}, {"created", created},
	} {
		if f.value != "" || document.Get(f.key) != nil {
			document.Set(f.key, jsondoc.String(f.value))
		}
	}
	return document.Bytes()
}
