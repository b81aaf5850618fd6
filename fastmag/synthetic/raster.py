"""A small software rasteriser: pose, visibility, then one shading pass that gives a picture and its pulsation.

Kernels in Numba: arrays in, arrays out, no allocation, no checks, no global lock. Shading is deferred: `rasterize`
stores which triangle is seen where, `shade` looks up texture and light once per visible sample. A frame is linear in
the pulse p: picture + p * pulsation, both in grey levels 0..255.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

F = np.float32
TONE_STEPS = 2048
TONE_RANGE = 2.0
N_TEXTURE = 7  # albedo r g b, pulsation r g b, gloss


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
def rasterize(screen, faces, depth, face, weights):
    """Which triangle is seen at each sample: face (H, W) int32, -1 where none; weights (H, W, 2) of its 2nd and 3rd
    corner."""
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
                    weights[row, column, 0] = w1
                    weights[row, column, 1] = w2


@njit(nogil=True, cache=True, error_model="numpy")
def spread(face, weights, faces, values, out):
    """out (H, W, K) = values (V, K) of the triangles' corners, interpolated; untouched where no triangle is seen."""
    for row in range(face.shape[0]):
        for column in range(face.shape[1]):
            i = face[row, column]
            if i >= 0:
                w1, w2 = weights[row, column, 0], weights[row, column, 1]
                for k in range(values.shape[1]):
                    a, b, c = values[faces[i, 0], k], values[faces[i, 1], k], values[faces[i, 2], k]
                    out[row, column, k] = a + w1 * (b - a) + w2 * (c - a)


@njit(nogil=True, fastmath=True, error_model="numpy", inline="always")
def _tone(tone, x, k):
    """Level (k = 0) or slope times x (k = 1) of the camera's response at linear light x, by linear interpolation."""
    at = min(max(x, F(0.0)) * F(TONE_STEPS / TONE_RANGE), F(TONE_STEPS - 1.001))
    i = int(at)
    f = at - F(i)
    return tone[k, i] * (F(1.0) - f) + tone[k, i + 1] * f


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _sample(texture, u, v, texel):
    """Bilinear texel (7,) at atlas coordinates in texels."""
    rows, columns = texture.shape[0], texture.shape[1]
    x = min(max(u - F(0.5), F(0.0)), F(columns) - F(1.001))
    y = min(max(v - F(0.5), F(0.0)), F(rows) - F(1.001))
    ix, iy = int(x), int(y)
    fx, fy = x - F(ix), y - F(iy)
    a, b = (F(1.0) - fx) * (F(1.0) - fy), fx * (F(1.0) - fy)
    c, d = (F(1.0) - fx) * fy, fx * fy
    for k in range(7):
        texel[k] = (
            a * texture[iy, ix, k]
            + b * texture[iy, ix + 1, k]
            + c * texture[iy + 1, ix, k]
            + d * texture[iy + 1, ix + 1, k]
        )


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _light(normal, texel, lamp, tone, out):
    """Add one lit sample to out (6,): level r g b, pulsation r g b.

    lamp (17,): direction 3, key colour 3, sky colour 3, ground colour 3, wrap 3, gloss strength, gloss power.
    """
    length = F(1.0) / math.sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2] + F(1e-12))
    nx, ny, nz = normal[0] * length, normal[1] * length, normal[2] * length
    facing = nx * lamp[0] + ny * lamp[1] + nz * lamp[2]
    up = F(0.5) + F(0.5) * ny
    hx, hy, hz = lamp[0], lamp[1], lamp[2] + F(1.0)
    half = max(F(0.0), (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz))
    gloss = F(0.0)
    if half > F(0.6):
        gloss = texel[6] * lamp[15] * half ** lamp[16]
    for k in range(3):
        # wrapped further in red than in blue: light bleeds around the terminator in skin
        direct = max(F(0.0), (facing + lamp[12 + k]) / (F(1.0) + lamp[12 + k]))
        diffuse = texel[k] * (direct * lamp[3 + k] + up * lamp[6 + k] + (F(1.0) - up) * lamp[9 + k])
        x = diffuse + gloss * lamp[3 + k]
        out[k] += _tone(tone, x, 0)
        out[3 + k] += texel[3 + k] * _tone(tone, x, 1) * diffuse / (x + F(1e-6))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _backdrop(background, x, y, flicker, row, column, out):
    """Add one sample of the background (rows, columns, 3 + K: levels, K masks) shifted by x, y pixels, wrapped
    around."""
    rows, columns = background.shape[0], background.shape[1]
    fx, fy = F(column) + x, F(row) + y
    ix, iy = math.floor(fx), math.floor(fy)
    fx -= F(ix)
    fy -= F(iy)
    x0, y0 = ix % columns, iy % rows
    x1, y1 = (x0 + 1) % columns, (y0 + 1) % rows
    for k in range(3):
        top = background[y0, x0, k] * (F(1.0) - fx) + background[y0, x1, k] * fx
        low = background[y1, x0, k] * (F(1.0) - fx) + background[y1, x1, k] * fx
        value = top * (F(1.0) - fy) + low * fy
        gain = F(1.0)
        for m in range(flicker.shape[0]):
            gain += flicker[m, k] * background[row % rows, column % columns, 3 + m]
        out[k] += value * gain


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def shade(visible, geometry, texture, lamp, tone, backdrop, picture, pulsation):
    """Picture and pulsation (H, W, 3) in grey levels, averaged over the samples of each pixel.

    visible = (face, weights) on a grid n times finer; geometry = (faces, uv (V, 2), turned normals (V, 3)); texture (R,
    C, 7) with uv = 1 at R texels; backdrop = (background, (x, y) shift, flicker (K, 3)).
    """
    face, weights = visible
    faces, uv, normals = geometry
    background, shift, flicker = backdrop
    n = face.shape[0] // picture.shape[0]
    share = F(1.0) / F(n * n)
    size = F(texture.shape[0])
    texel = np.empty(7, np.float32)
    normal = np.empty(3, np.float32)
    total = np.empty(6, np.float32)
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            total[:] = F(0.0)
            for s in range(n * n):
                r, c = row * n + s // n, column * n + s % n
                i = face[r, c]
                if i < 0:
                    _backdrop(background, shift[0], shift[1], flicker, row, column, total)
                    continue
                w1, w2 = weights[r, c, 0], weights[r, c, 1]
                p, q, o = faces[i, 0], faces[i, 1], faces[i, 2]
                w0 = F(1.0) - w1 - w2
                u = w0 * uv[p, 0] + w1 * uv[q, 0] + w2 * uv[o, 0]
                v = w0 * uv[p, 1] + w1 * uv[q, 1] + w2 * uv[o, 1]
                for k in range(3):
                    normal[k] = w0 * normals[p, k] + w1 * normals[q, k] + w2 * normals[o, k]
                _sample(texture, u * size, v * size, texel)
                _light(normal, texel, lamp, tone, total)
            for k in range(3):
                picture[row, column, k] = total[k] * share
                pulsation[row, column, k] = total[3 + k] * share


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def expose(picture, pulsation, p, sigma, shot, noise, frame):
    """frame (H, W, 3) uint8 = round(picture + p pulsation + noise), clipped to 0..255.

    noise (H, W, 3) of unit variance; sigma in grey levels at mid grey, of which the share `shot` (0..1) of the variance
    grows with the light.
    """
    for row in range(frame.shape[0]):
        for column in range(frame.shape[1]):
            for k in range(3):
                light = picture[row, column, k]
                width = sigma * math.sqrt(max(F(0.0), F(1.0) - shot + shot * light * F(1 / 128)))
                level = light + p * pulsation[row, column, k] + width * noise[row, column, k]
                frame[row, column, k] = np.uint8(min(max(math.floor(level + F(0.5)), F(0.0)), F(255.0)))


def tone_curve(gamma: float) -> np.ndarray:
    """Response of a camera: (2, 2048) float32 tables over linear light 0..2 of the level 0..255 and of the pulsation.

    level = 255 soft(x)^(1/gamma) with a shoulder above .8 that never quite reaches 255. The second table is
    gamma x dlevel/dx: of a small relative change dx/x, what reaches the frame, with gamma made up for, so that for a
    given pulse the relative change of the levels is the same at any gamma and dies out towards saturation.
    """
    x = np.linspace(0, TONE_RANGE, TONE_STEPS)
    knee = 0.8
    soft = np.where(x < knee, x, 1 - (1 - knee) * np.exp(-(x - knee) / (1 - knee)))
    toe = 0.004
    level = 255 * ((soft + toe) ** (1 / gamma) - toe ** (1 / gamma)) / ((1 + toe) ** (1 / gamma) - toe ** (1 / gamma))
    return np.stack([level, gamma * x * np.gradient(level, x)]).astype(np.float32)
