package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
)

// lakePicture paints a lake before mountains in the evening, so that there is a picture
// that belongs to nobody.
func lakePicture(width, height int) []byte {
	img := image.NewPaletted(image.Rect(0, 0, width, height), nil)
	// Few colors make a small file.
	const steps = 40
	mix := func(a, b [3]float64, t float64) color.Color {
		return color.RGBA{uint8(a[0] + (b[0]-a[0])*t), uint8(a[1] + (b[1]-a[1])*t), uint8(a[2] + (b[2]-a[2])*t), 255}
	}
	for i := range steps { // the sky, then the water
		img.Palette = append(img.Palette, mix([3]float64{46, 84, 140}, [3]float64{252, 190, 130}, float64(i)/steps))
	}
	for i := range steps {
		img.Palette = append(img.Palette, mix([3]float64{236, 170, 120}, [3]float64{22, 52, 84}, float64(i)/steps))
	}
	img.Palette = append(img.Palette, color.RGBA{96, 92, 132, 255}, color.RGBA{62, 68, 104, 255}, color.RGBA{30, 42, 62, 255}, color.RGBA{255, 236, 200, 255})
	const far, near, shore, sun = 2 * steps, 2*steps + 1, 2*steps + 2, 2*steps + 3
	horizon := height * 62 / 100
	ridge := func(x int, base, high, a, b float64) int {
		f := float64(x) / float64(width)
		return horizon - int(base+high*(0.55*math.Abs(math.Sin(a*f+0.6))+0.3*math.Abs(math.Sin(b*f))+0.15*math.Abs(math.Sin(3.1*b*f+1))))
	}
	for x := range width {
		back, front := ridge(x, 14, float64(height)*.36, 5.2, 11), ridge(x, 4, float64(height)*.2, 8.3, 17)
		land := height - height/14 - int(float64(height)/16*math.Sin(float64(x)/float64(width)*3.6+2.6))
		for y := range height {
			dx, dy := float64(x-width*68/100), float64(y-height*30/100)
			at := steps * y / horizon
			if y >= horizon {
				at = steps + min(steps-1, steps*(y-horizon)/(height-horizon))
				if math.Abs(dx) < 16+float64(y-horizon)/3 && (y*7+x/9)%5 < 2 {
					at = max(steps, at-12) // the sun on the water
				}
			}
			switch {
			case y > land:
				at = shore
			case y < horizon && y >= front:
				at = near
			case y < horizon && y >= back:
				at = far
			case dx*dx+dy*dy < 900 && y < horizon:
				at = sun
			}
			img.SetColorIndex(x, y, uint8(min(at, sun))) //nolint:gosec // below the number of colors
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		panic(err) // into memory
	}
	return out.Bytes()
}
