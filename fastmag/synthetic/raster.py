"""A small software rasteriser: pose, visibility, then one shading pass that gives a picture and its pulsation.

Kernels in Numba: arrays in, arrays out, no allocation, no checks, no global lock. Shading is deferred: `rasterize`
stores which triangle is seen where, `shade` looks up texture and light once per visible sample. A frame is linear in
the pulse p: picture + p * pulsation, both in grey levels 0..255.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.special import ndtri

F, U = np.float32, np.uint32
TONE_STEPS = 2048
TONE_RANGE = 2.0


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def pose(vertices, normals, bind, offsets, state, screen, turned):
    """Turn, deform and project a body.

    vertices, normals (V, 3); bind (V,) 1 where a point follows the head, 0 where the torso; offsets (2, V, 3)
    displacement in cm of a fully open jaw and of one unit of breath; state (27,): head rotation 9, torso rotation 9,
    pivot y, pivot z, shift x, shift y in pixels, pixels per cm, aspect, camera distance in cm, jaw, breath.
    screen (V, 3): pixel x, pixel y, depth (larger is nearer); turned (V, 3): rotated normals.
    """
    for i in range(vertices.shape[0]):
        x = vertices[i, 0] + state[25] * offsets[0, i, 0] + state[26] * offsets[1, i, 0]
        y = vertices[i, 1] + state[25] * offsets[0, i, 1] + state[26] * offsets[1, i, 1] - state[18]
        z = vertices[i, 2] + state[25] * offsets[0, i, 2] + state[26] * offsets[1, i, 2] - state[19]
        w = bind[i]
        v = F(1.0) - w
        px = w * (state[0] * x + state[1] * y + state[2] * z) + v * (state[9] * x + state[10] * y + state[11] * z)
        py = w * (state[3] * x + state[4] * y + state[5] * z) + v * (state[12] * x + state[13] * y + state[14] * z)
        pz = w * (state[6] * x + state[7] * y + state[8] * z) + v * (state[15] * x + state[16] * y + state[17] * z)
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        for k in range(3):
            turned[i, k] = w * (state[3 * k] * x + state[3 * k + 1] * y + state[3 * k + 2] * z) + v * (
                state[9 + 3 * k] * x + state[10 + 3 * k] * y + state[11 + 3 * k] * z
            )
        zoom = state[22] * state[24] / (state[24] - pz)
        screen[i, 0] = state[20] + px * zoom * state[23]
        screen[i, 1] = state[21] - (py + state[18]) * zoom
        screen[i, 2] = pz


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def light(screen, turned, uv, lamp, points):
    """Light every vertex: points (V, 8) = pixel x, y; texel u, v (uv times its scale); diffuse light r g b; gloss.

    screen, turned: of `pose`; uv (V, 2) in texels; lamp (17,): direction 3, key colour 3, sky colour 3, ground colour
    3, wrap 3, gloss strength, gloss power.
    """
    hx, hy, hz = lamp[0], lamp[1], lamp[2] + F(1.0)
    towards = F(1.0) / math.sqrt(hx * hx + hy * hy + hz * hz)
    for i in range(points.shape[0]):
        x, y, z = turned[i, 0], turned[i, 1], turned[i, 2]
        length = F(1.0) / math.sqrt(x * x + y * y + z * z + F(1e-12))
        x, y, z = x * length, y * length, z * length
        facing = x * lamp[0] + y * lamp[1] + z * lamp[2]
        up = F(0.5) + F(0.5) * y
        for k in range(3):
            # wrapped further in red than in blue: light bleeds around the terminator in skin
            direct = max(F(0.0), (facing + lamp[12 + k]) / (F(1.0) + lamp[12 + k]))
            points[i, 4 + k] = direct * lamp[3 + k] + up * lamp[6 + k] + (F(1.0) - up) * lamp[9 + k]
        half = (x * hx + y * hy + z * hz) * towards
        points[i, 7] = lamp[15] * half ** lamp[16] if half > F(0.6) else F(0.0)
        points[i, 0], points[i, 1] = screen[i, 0], screen[i, 1]
        points[i, 2], points[i, 3] = uv[i, 0], uv[i, 1]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def rasterize(screen, faces, depth, face):
    """Which triangle is seen at each sample: depth (H, W) float32, larger is nearer; face (H, W) int32, -1 where
    none."""
    height, width = depth.shape
    depth[:] = F(-1e9)
    face[:] = -1
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        x0, y0 = screen[a, 0], screen[a, 1]
        x1, y1 = screen[b, 0] - x0, screen[b, 1] - y0
        x2, y2 = screen[c, 0] - x0, screen[c, 1] - y0
        area = x1 * y2 - x2 * y1
        if area >= F(-1e-7):  # rows grow downwards: a face turned to the camera has a negative area
            continue
        left = max(0, math.ceil(x0 + min(F(0.0), min(x1, x2))))
        right = min(width - 1, math.floor(x0 + max(F(0.0), max(x1, x2))))
        top = max(0, math.ceil(y0 + min(F(0.0), min(y1, y2))))
        bottom = min(height - 1, math.floor(y0 + max(F(0.0), max(y1, y2))))
        inverse = F(1.0) / area
        z0 = screen[a, 2]
        z1 = screen[b, 2] - z0
        z2 = screen[c, 2] - z0
        for row in range(top, bottom + 1):
            y = F(row) - y0
            for column in range(left, right + 1):
                x = F(column) - x0
                w1 = (x * y2 - x2 * y) * inverse
                w2 = (x1 * y - x * y1) * inverse
                if w1 < F(-1e-5) or w2 < F(-1e-5) or w1 + w2 > F(1.00001):
                    continue
                z = z0 + w1 * z1 + w2 * z2
                if z > depth[row, column]:
                    depth[row, column] = z
                    face[row, column] = i


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _weights(points, a, b, c, x, y):
    """Weights of the corners b and c at (x, y) of the triangle's plane."""
    x0, y0 = points[a, 0], points[a, 1]
    x1, y1 = points[b, 0] - x0, points[b, 1] - y0
    x2, y2 = points[c, 0] - x0, points[c, 1] - y0
    x, y = x - x0, y - y0
    inverse = F(1.0) / (x1 * y2 - x2 * y1)
    return (x * y2 - x2 * y) * inverse, (x1 * y - x * y1) * inverse


@njit(nogil=True, cache=True, error_model="numpy")
def spread(face, screen, faces, values, out):
    """out (H, W, K) = values (V, K) of the triangles' corners, interpolated; untouched where no triangle is seen."""
    for row in range(face.shape[0]):
        for column in range(face.shape[1]):
            i = face[row, column]
            if i >= 0:
                a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
                w1, w2 = _weights(screen, a, b, c, F(column), F(row))
                for k in range(values.shape[1]):
                    out[row, column, k] = (
                        values[a, k] + w1 * (values[b, k] - values[a, k]) + w2 * (values[c, k] - values[a, k])
                    )


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _surface(mesh, i, x, y, texture, look, texel, total):
    """Add triangle i at (x, y), lit, to total (6,): level r g b, pulsation r g b."""
    faces, points = mesh
    key, tone = look
    a, b, c = U(faces[i, 0]), U(faces[i, 1]), U(faces[i, 2])  # unsigned: an index that cannot be negative is cheaper
    w1, w2 = _weights(points, a, b, c, x, y)
    w0 = F(1.0) - w1 - w2
    u = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
    v = w0 * points[a, 3] + w1 * points[b, 3] + w2 * points[c, 3]
    u = min(max(u, F(0.0)), F(texture.shape[1]) - F(1.001))
    v = min(max(v, F(0.0)), F(texture.shape[0]) - F(1.001))
    column, row = U(u), U(v)
    right, below = U(column + 1), U(row + 1)
    fu, fv = u - F(column), v - F(row)
    p, q = (F(1.0) - fu) * (F(1.0) - fv), fu * (F(1.0) - fv)
    r, s = (F(1.0) - fu) * fv, fu * fv
    for k in range(8):
        texel[k] = (
            p * texture[row, column, k]
            + q * texture[row, right, k]
            + r * texture[below, column, k]
            + s * texture[below, right, k]
        )
    gloss = texel[6] * (w0 * points[a, 7] + w1 * points[b, 7] + w2 * points[c, 7])
    for k in range(3):
        diffuse = texel[k] * (w0 * points[a, 4 + k] + w1 * points[b, 4 + k] + w2 * points[c, 4 + k])
        x = max(diffuse + gloss * key[k], F(1e-6))
        at = min(x * F(TONE_STEPS / TONE_RANGE), F(TONE_STEPS - 1.001))
        j = U(at)
        after = U(j + 1)
        f = at - F(j)
        total[k] += tone[j, 0] + f * (tone[after, 0] - tone[j, 0])
        total[3 + k] += texel[3 + k] * (tone[j, 1] + f * (tone[after, 1] - tone[j, 1])) * diffuse / x


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _wall(backdrop, row, column, weight, total):
    """Add weight times the background at that pixel to total; `backdrop` as in `shade`."""
    image, masks, whole, rest, flicker = backdrop
    rows, columns = image.shape[0], image.shape[1]
    y0, x0 = row + whole[0], column + whole[1]
    y0, x0 = y0 - rows * (y0 >= rows), x0 - columns * (x0 >= columns)
    y1 = y0 + 1 if y0 + 1 < rows else 0
    x1 = x0 + 1 if x0 + 1 < columns else 0
    fy, fx = rest[0], rest[1]
    for k in range(3):
        value = image[y0, x0, k]
        if fx + fy > F(0.0):
            value = (F(1.0) - fy) * ((F(1.0) - fx) * value + fx * image[y0, x1, k]) + fy * (
                (F(1.0) - fx) * image[y1, x0, k] + fx * image[y1, x1, k]
            )
        gain = weight
        for m in range(flicker.shape[0]):
            gain += weight * flicker[m, k] * masks[row, column, m]
        total[k] += value * gain


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def shade(visible, mesh, texture, look, backdrop, gain, picture, pulsation):
    """Picture and pulsation (H, W, 3) in grey levels: n samples of each pixel inside a surface, n x n at its edges.

    visible = (face, depth, gap): of `rasterize` on a grid n times finer, and the step of depth that makes an edge;
    mesh = (faces, points of `light`); texture (R, C, 8): albedo, pulsation, gloss, nothing;
    look = (key colour 3, tone (2048, 2)); backdrop = (image, at least (H, W, 3), masks (H, W, K), its shift in rows and
    columns: whole (2,) within the image, rest (2,) 0..1, flicker (K, 3)); gain (2, 3): of the level, of the pulsation.
    """
    face, depth, gap = visible
    n = face.shape[0] // picture.shape[0]
    share = F(1.0) / F(n * n)
    texel, total = np.empty(8, np.float32), np.empty(6, np.float32)
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            top, left = row * n, column * n
            empty, near, far = 0, F(-1e9), F(1e9)
            for r in range(top, top + n):
                for c in range(left, left + n):
                    empty += face[r, c] < 0
            if empty == 0:
                for r in range(top, top + n):
                    for c in range(left, left + n):
                        near, far = max(near, depth[r, c]), min(far, depth[r, c])
            total[:] = F(0.0)
            if empty == 0 and near - far < gap:
                for k in range(n):
                    _surface(mesh, face[top + k, left + k], F(left + k), F(top + k), texture, look, texel, total)
                for k in range(6):
                    total[k] *= F(1.0) / F(n)
            elif empty < n * n:
                for r in range(top, top + n):
                    for c in range(left, left + n):
                        if face[r, c] >= 0:
                            _surface(mesh, face[r, c], F(c), F(r), texture, look, texel, total)
                for k in range(6):
                    total[k] *= share
            if empty > 0:
                _wall(backdrop, row, column, F(empty) * share, total)
            for k in range(3):
                picture[row, column, k] = total[k] * gain[0, k]
                pulsation[row, column, k] = total[3 + k] * gain[1, k]


@njit(nogil=True, cache=True, error_model="numpy")
def white(key, quantiles, out):
    """Fill out (N,) float32 with white noise: a hash of (key, place) looked up in the 4096 `quantiles` of a
    distribution."""
    step = np.uint64(0x9E3779B97F4A7C15)
    for i in range((out.size + 3) // 4):
        z = key + np.uint64(i + 1) * step  # splitmix64
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        for k in range(min(4, out.size - 4 * i)):
            out[4 * i + k] = quantiles[(z >> np.uint64(16 * k + 4)) & np.uint64(4095)]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def expose(picture, pulsation, p, sigma, shot, noise, frame):
    """frame (N,) uint8 = round(picture + p pulsation + noise), clipped to 0..255.

    noise (N,) of unit variance; sigma in grey levels at mid grey, of which the share `shot` (0..1) of the variance
    grows with the light.
    """
    floor, slope = F(1.0) - shot, shot * F(1 / 128)
    for i in range(frame.size):
        width = sigma * math.sqrt(max(F(0.0), floor + slope * picture[i]))
        level = picture[i] + p * pulsation[i] + width * noise[i]
        frame[i] = np.uint8(np.int32(min(max(level + F(0.5), F(0.0)), F(255.0))))


def normal_quantiles() -> np.ndarray:
    """4096 equally likely values of a normal distribution of unit variance, (4096,) float32."""
    values = ndtri((np.arange(4096) + 0.5) / 4096)
    return (values / values.std()).astype(np.float32)


def tone_curve(gamma: float) -> np.ndarray:
    """Response of a camera: (2048, 2) float32 table over linear light 0..2 of the level 0..255 and of the pulsation.

    level = 255 soft(x)^(1/gamma) with a shoulder above .8 that never quite reaches 255. The second column is
    gamma x dlevel/dx: of a small relative change dx/x, what reaches the frame, with gamma made up for, so that for a
    given pulse the relative change of the levels is the same at any gamma and dies out towards saturation.
    """
    x = np.linspace(0, TONE_RANGE, TONE_STEPS)
    knee = 0.8
    soft = np.where(x < knee, x, 1 - (1 - knee) * np.exp(-(x - knee) / (1 - knee)))
    toe = 0.004
    level = 255 * ((soft + toe) ** (1 / gamma) - toe ** (1 / gamma)) / ((1 + toe) ** (1 / gamma) - toe ** (1 / gamma))
    return np.stack([level, gamma * x * np.gradient(level, x)], -1).astype(np.float32)
