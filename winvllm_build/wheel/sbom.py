"""What a wheel is made of, as CycloneDX (PEP 770): the same bytes for the same build."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Final

from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Commit, Component, ComponentType, Pedigree
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from winvllm_build.wheel.provenance import DependencyMade, Provenance

FILE: Final = "sboms/winvllm-build.cdx.json"
"""Its name in the dist-info folder; PEP 770 reserves `sboms`."""
NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/winvllm-build/winvllm-build")


def serialise(made: Provenance, version: str) -> bytes:
    """The bill of materials of one wheel; its serial number is a digest, and it has no date.

    Args:
        made: how the wheel was made.
        version: the wheel's whole version.
    """
    whole = Component(
        name="vllm", version=version, type=ComponentType.LIBRARY, bom_ref="vllm",
        purl=PackageURL("pypi", name="vllm", version=version), pedigree=_pedigree(made),
        properties=_properties(made),
    )  # fmt: skip
    parts = [_dependency(one) for one in made.dependencies]
    bom = Bom(
        serial_number=uuid.uuid5(NAMESPACE, f"{version}\n{made.serialise().decode()}"), components=parts
    )
    bom.metadata.component = whole
    bom.metadata.timestamp = None  # type: ignore[assignment]  # the format allows it; a date would differ
    bom.metadata.tools.components.add(
        Component(name="winvllm-build", version=made.tool, type=ComponentType.APPLICATION)
    )
    bom.register_dependency(whole, parts)
    data = json.loads(JsonV1Dot6(bom).output_as_string())
    return json.dumps(data, sort_keys=True, indent=1).encode("ascii") + b"\n"


def _pedigree(made: Provenance) -> Pedigree:
    """Where it comes from: upstream's release, and that patches were applied to it."""
    ancestor = Component(
        name="vllm", version=made.source.tag.removeprefix("v"), type=ComponentType.LIBRARY,
        purl=PackageURL("pypi", name="vllm", version=made.source.tag.removeprefix("v")),
    )  # fmt: skip
    return Pedigree(
        ancestors=[ancestor],
        commits=[Commit(uid=made.source.commit, url=XsUri(made.source.url))],
        notes=f"{made.patches.count} files patched by the layers {' + '.join(made.patches.layers)};"
        f" the lock that names each has sha256 {made.patches.lock_sha256}",
    )


def _properties(made: Provenance) -> Iterator[Property]:
    for name, value in made.toolchain.items():
        yield Property(name=f"winvllm-build:toolchain:{name}", value=value)
    yield Property(name="winvllm-build:cuda", value=made.cuda)
    yield Property(name="winvllm-build:architectures", value=" ".join(made.archs))


def _dependency(one: DependencyMade) -> Component:
    owner = one.url.rstrip("/").removesuffix(".git").split("/")[-2:]
    hosted = one.url.startswith("https://github.com/")
    return Component(
        name=one.name, version=one.revision, type=ComponentType.LIBRARY, bom_ref=f"vendored:{one.name}",
        purl=PackageURL("github", namespace=owner[0], name=owner[-1], version=one.commit or one.revision)
        if hosted else None,
        external_references=[ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(one.url))],
    )  # fmt: skip
