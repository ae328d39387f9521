// Package firstboot makes a device of a card that an image was written to:
// the data partition gets the space that the card has, and a filesystem when it
// is proved blank; the device gets its identity, and what its owner left for it
// on the boot partition. Facts are read, a plan says in words what they ask for,
// and only its actions write. Nothing is destroyed that is not proved to be
// nobody's, and a plan is empty when there is nothing to do.
package firstboot
