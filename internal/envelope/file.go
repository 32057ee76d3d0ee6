package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"io"
	"math"
)

// FileMagic is the beginning of a sealed file.
const FileMagic = "flfile:1"

// Sizes of a sealed file. They are part of the format.
const (
	filePrefixSize = 7 // of the nonce; 4 bytes of counter and 1 byte that marks the last chunk follow
	fileHeaderSize = len(FileMagic) + filePrefixSize
	fileChunkSize  = 64 << 10
)

// FileKeySize is the size of a file's key.
const FileKeySize = keySize

// FileBinding names the place a file is sealed for. It opens under the binding it was sealed with, and under no other.
type FileBinding struct {
	// ConversationID is the id of the conversation's data source. It must be positive.
	ConversationID int64
	// GUID is the message's guid column.
	GUID string
	// Index counts the sealed files of the message from 0.
	Index int
}

// NewFileKey makes a random key, for one file.
func NewFileKey() []byte {
	key := make([]byte, FileKeySize)
	_, _ = rand.Read(key) // never fails
	return key
}

// SealedFileSize is the size of a sealed file of n bytes.
func SealedFileSize(n int64) int64 {
	chunks := max(1, (n+fileChunkSize-1)/fileChunkSize)
	return int64(fileHeaderSize) + n + chunks*tagSize
}

// FileSize is the size of the file in a sealed one of n bytes; 0 if there is no such file.
func FileSize(n int64) int64 {
	const sealedChunk = fileChunkSize + tagSize
	chunks := (n - int64(fileHeaderSize) + sealedChunk - 1) / sealedChunk
	return max(0, n-int64(fileHeaderSize)-chunks*tagSize)
}

// fileCipher is the state that both directions share.
type fileCipher struct {
	gcm   cipher.AEAD
	ad    []byte
	nonce [nonceSize]byte
	count uint64
}

func newFileCipher(key []byte, b FileBinding) (*fileCipher, error) {
	if len(key) != FileKeySize {
		return nil, fail(KindBadKey)
	}
	if b.ConversationID <= 0 || b.Index < 0 {
		return nil, fail(KindBadBinding)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fail(KindBadKey)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fail(KindBadKey)
	}
	ad := appendField(nil, FileMagic)
	ad = binary.BigEndian.AppendUint64(ad, uint64(b.ConversationID))
	ad = appendField(ad, b.GUID)
	ad = binary.BigEndian.AppendUint64(ad, uint64(b.Index))
	return &fileCipher{gcm: gcm, ad: ad}, nil
}

// next is the nonce of the next chunk, nil when the counter has run out.
func (c *fileCipher) next(last bool) []byte {
	if c.count > math.MaxUint32 {
		return nil
	}
	binary.BigEndian.PutUint32(c.nonce[filePrefixSize:], uint32(c.count))
	c.nonce[nonceSize-1] = 0
	if last {
		c.nonce[nonceSize-1] = 1
	}
	c.count++
	return c.nonce[:]
}

// FileSealer is a sealed file, sealed while it is read. It holds two chunks.
type FileSealer struct {
	*fileCipher
	from  io.Reader
	plain []byte // read ahead by one byte, which tells whether the chunk is the last
	ahead int    // bytes of plain that are there
	out   []byte // sealed, but not read
	room  []byte
	err   error // after out
}

// SealFile seals the file that r yields. Each file has a key of its own; the start of the nonces is random, so sealing
// it again, even after a change, is safe. Errors are [KindBadKey] and [KindBadBinding]. Reading fails with what r fails.
func SealFile(key []byte, b FileBinding, r io.Reader) (*FileSealer, error) {
	var prefix [filePrefixSize]byte
	_, _ = rand.Read(prefix[:]) // never fails
	return sealFile(key, b, r, prefix)
}

func sealFile(key []byte, b FileBinding, r io.Reader, prefix [filePrefixSize]byte) (*FileSealer, error) {
	c, err := newFileCipher(key, b)
	if err != nil {
		return nil, err
	}
	copy(c.nonce[:], prefix[:])
	s := &FileSealer{fileCipher: c, from: r, plain: make([]byte, fileChunkSize+1), room: make([]byte, 0, fileHeaderSize+fileChunkSize+tagSize)}
	s.out = append(append(s.room, FileMagic...), prefix[:]...)
	return s, nil
}

func (s *FileSealer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.out) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.seal()
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	if n == 0 {
		return 0, s.err
	}
	return n, nil
}

// seal puts the next chunk into out.
func (s *FileSealer) seal() {
	n, err := io.ReadFull(s.from, s.plain[s.ahead:])
	n += s.ahead
	last := err == io.EOF || err == io.ErrUnexpectedEOF
	if err != nil && !last {
		s.err = err
		return
	}
	size := min(n, fileChunkSize)
	nonce := s.next(last)
	if nonce == nil {
		s.err = fail(KindBadPlaintext)
		return
	}
	s.out = s.gcm.Seal(s.room, nonce, s.plain[:size], s.ad)
	if last {
		s.err = io.EOF
		clear(s.plain)
		return
	}
	s.plain[0], s.ahead = s.plain[size], 1
}

// FileOpener opens a sealed file that is written to it, and writes each chunk on after it was verified. Close tells
// whether the file was whole.
type FileOpener struct {
	*fileCipher
	to      io.Writer
	head    []byte
	chunk   []byte
	written int64
	closed  bool
	err     error
}

// OpenFile opens the file that [SealFile] sealed with this key for this binding. Errors are [KindBadKey] and
// [KindBadBinding]. What is written is refused with [KindUnauthentic] when it is anything else: changed, cut, longer,
// in another order, of another place. Then w has the verified beginning, and gets nothing more.
func OpenFile(key []byte, b FileBinding, w io.Writer) (*FileOpener, error) {
	c, err := newFileCipher(key, b)
	if err != nil {
		return nil, err
	}
	return &FileOpener{fileCipher: c, to: w, head: make([]byte, 0, fileHeaderSize), chunk: make([]byte, 0, fileChunkSize+tagSize)}, nil
}

// Written is how many bytes were written on.
func (o *FileOpener) Written() int64 { return o.written }

func (o *FileOpener) Write(p []byte) (int, error) {
	total := len(p)
	if o.closed && o.err == nil {
		return 0, io.ErrClosedPipe
	}
	for o.err == nil && len(p) > 0 {
		into := &o.chunk
		if len(o.head) < fileHeaderSize {
			into = &o.head
		} else if len(o.chunk) == cap(o.chunk) {
			o.open(false) // something follows, so it is not the last one
			continue
		}
		n := min(len(p), cap(*into)-len(*into))
		*into = append(*into, p[:n]...)
		p = p[n:]
		if into == &o.head && len(o.head) == fileHeaderSize {
			if string(o.head[:len(FileMagic)]) != FileMagic {
				o.err = fail(KindUnauthentic)
			}
			copy(o.nonce[:], o.head[len(FileMagic):])
		}
	}
	return total - len(p), o.err
}

// Close opens the last chunk. Without an error the file was whole.
func (o *FileOpener) Close() error {
	if !o.closed && o.err == nil {
		o.open(true)
	}
	o.closed = true
	return o.err
}

func (o *FileOpener) open(last bool) {
	nonce := o.next(last)
	if nonce == nil || len(o.head) < fileHeaderSize || last && o.count > 1 && len(o.chunk) == tagSize {
		o.err = fail(KindUnauthentic) // only an empty file has an empty chunk
		return
	}
	plain, err := o.gcm.Open(o.chunk[:0], nonce, o.chunk, o.ad)
	if err != nil {
		o.err = fail(KindUnauthentic)
		return
	}
	n, err := o.to.Write(plain)
	o.written += int64(n)
	if err == nil && n < len(plain) {
		err = io.ErrShortWrite
	}
	clear(o.chunk)
	o.chunk, o.err = o.chunk[:0], err
}
