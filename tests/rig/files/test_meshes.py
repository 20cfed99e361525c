import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.rig.files.meshes import read_mesh, write_obj, write_ply

VERTICES = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 3, 0.25]], np.float32)
FACES = np.array([[0, 1, 2], [0, 2, 3]])


@pytest.mark.parametrize(("name", "write"), [("a.obj", write_obj), ("a.ply", write_ply)])
def test_a_mesh_reads_back_as_written(tmp_path, name, write):
    write(tmp_path / name, VERTICES, FACES)
    vertices, faces = read_mesh(tmp_path / name)
    assert np.allclose(vertices, VERTICES, atol=1e-7) and (faces == FACES).all()


@pytest.mark.parametrize(("name", "write"), [("a.obj", write_obj), ("a.ply", write_ply)])
def test_an_independent_reader_agrees(tmp_path, name, write):
    trimesh = pytest.importorskip("trimesh")
    write(tmp_path / name, VERTICES, FACES)
    mesh = trimesh.load(tmp_path / name, process=False)
    assert np.allclose(mesh.vertices, VERTICES, atol=1e-7) and (mesh.faces == FACES).all()


def test_a_quadrangle_is_cut_along_its_shorter_diagonal(tmp_path):
    path = tmp_path / "quad.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 3 0.25\nf 1/1/1 2/2/2 3/3/3 4/4/4\n")
    assert sorted(map(sorted, read_mesh(path)[1].tolist())) == [[0, 1, 2], [0, 2, 3]]
    path.write_text("v 0 0 0\nv 1 0 0\nv 4 4 0\nv 0 1 0\nf -4 -3 -2 -1\n")
    assert sorted(map(sorted, read_mesh(path)[1].tolist())) == [[0, 1, 3], [1, 2, 3]]


def test_a_pentagon_becomes_three_triangles(tmp_path):
    path = tmp_path / "five.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 2 1 0\nv 1 2 0\nv 0 1 0\nf 1 2 3 4 5\n")
    assert len(read_mesh(path)[1]) == 3


def test_a_text_ply_with_more_columns_is_read(tmp_path):
    path = tmp_path / "a.ply"
    path.write_text(
        "ply\nformat ascii 1.0\ncomment by hand\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nproperty uchar red\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
        "0 0 0 255\n1 0 0 255\n0 2 0 255\n3 0 1 2\n"
    )
    vertices, faces = read_mesh(path)
    assert vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 0]] and faces.tolist() == [[0, 1, 2]]


def test_a_big_endian_ply_is_read(tmp_path):
    path = tmp_path / "a.ply"
    header = (
        "ply\nformat binary_big_endian 1.0\nelement vertex 3\nproperty double x\nproperty double y\nproperty double z\n"
        "element face 1\nproperty list uchar ushort vertex_indices\nend_header\n"
    )
    corners = np.uint8(3).tobytes() + np.array([0, 1, 2], ">u2").tobytes()
    path.write_bytes(header.encode() + VERTICES[:3].astype(">f8").tobytes() + corners)
    vertices, faces = read_mesh(path)
    assert np.allclose(vertices, VERTICES[:3]) and faces.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("far.obj", b"v 0 0 0\nf 1 2 3\n"),
        ("empty.obj", b""),
        ("word.obj", b"v a b c\n"),
        ("binary.obj", b"\xff\xfe\x00v"),
        ("header.ply", b"ply\nformat ascii 1.0\n"),
        ("short.ply", b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n0\n"),
        ("type.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty half x\nend_header\n00"),
        (
            "far.ply",
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
            b"element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n3 0 1 2\n",
        ),
    ],
)
def test_what_is_no_mesh_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: not a readable mesh"):
        read_mesh(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="none.obj"):
        read_mesh(tmp_path / "none.obj")
