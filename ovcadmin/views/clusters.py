"""OpenvStorage clusters: how they are reached, their storage routers, and which vPools serve us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import clusters, hosts, people, pools, vpools
from ovcadmin.views.calls import Call
from ovcadmin.views.forms import Done, Form, amount, choice, name, text, version
from ovcadmin.views.pages import Crumb, Empty, Page, crumbs

ALLOWED = {"permission": Privilege.MODIFY}


class NewCluster(colander.Schema):
    name = name(hint="What people read.")
    addresses = text(
        "Storage routers",
        kind="textarea",
        hint="https://host or https://host:port, one a line; the next is asked when one is silent",
    )
    client_id = text("Client id", hint="of an OAuth2 client with the roles read, write and manage")
    secret = text(
        "Client secret",
        kind="password",
        missing="",
        autocomplete="off",
        hint="Kept sealed, never shown; blank keeps the present one.",
    )
    authority = text(
        "Trusted certificates",
        kind="textarea",
        longest=20_000,
        missing="",
        hint="PEM; blank: the authorities of the system",
    )
    fingerprints = text(
        "Or their fingerprints",
        kind="textarea",
        missing="",
        hint="SHA-256, one a line; then only these certificates are trusted",
    )


class EditedCluster(NewCluster):
    version = version()


class NewVPool(colander.Schema):
    vpool = choice("vPool")
    name = name("Name here", missing="", hint="Blank: as it is called there.")
    declared = amount(
        "Capacity", "storage", missing=0, hint="counts only where the cluster does not tell it"
    )
    access = choice("Guests open volumes", hint="The edge needs OpenvStorage's own QEMU.")


class Removal(colander.Schema):
    """Nothing to fill in: the question itself."""


@dataclass(frozen=True, kw_only=True)
class ClustersPage(Page):
    every: Sequence[Any]
    root: Any
    may_add: bool
    empty: Empty


@dataclass(frozen=True, kw_only=True)
class ClusterPage(Page):
    cluster: Any
    vpools: Sequence[Any] = ()
    held: Sequence[Any] = ()
    hosts: Sequence[Any] = ()

    def store_of(self, guid: str) -> Any:
        """The storage pool of ours that this vPool is."""
        return next((store for store in self.held if store.target == guid), None)

    def router_of(self, guid: str) -> Any:
        return next((router for router in self.cluster.routers if router.guid == guid), None)


@dataclass(frozen=True, kw_only=True)
class ClusterForm(Page):
    form: Form
    button: str
    back: str
    call: Call | None = None
    command: str = ""
    text: str = ""


@view_config(
    route_name="clusters", request_method="GET", renderer="clusters/list.pt", permission=SIGNED_IN
)
def listing(request: Any) -> dict[str, Any]:
    page = ClustersPage(
        title="Storage clusters",
        section="storage",
        crumbs=[Crumb(label="Storage", url=request.route_path("storage"))],
        every=clusters.listing(request.work),
        root=pools.root(request.work),
        may_add=people.may_on_root(request.work, Privilege.MODIFY),
        empty=Empty(
            why="No OpenvStorage cluster that you may see.",
            more="With one, disks of machines are vDisks; without, libvirt's storage pools do.",
        ),
    )
    return {"page": page}


@view_config(
    route_name="cluster_new",
    request_method=("GET", "POST"),
    renderer="clusters/form.pt",
    **ALLOWED,
)
def new(context: Any, request: Any) -> dict[str, Any] | Response:
    form = Form(NewCluster())

    def create(values: dict[str, Any]) -> Done:
        made = clusters.create(request.work, context.pool, clusters.Draft(**values))
        return Done(
            text=f"{made.name} is written down; it is asked within seconds.",
            path=request.route_path("cluster", id=made.id),
        )

    page = ClusterForm(
        title="New storage cluster",
        section="storage",
        crumbs=_crumbs(request),
        form=form,
        button="Add the cluster",
        back=request.route_path("clusters"),
        call=Call("POST", f"/pools/{context.pool.id}/storage-clusters", {"name": "Cluster"}),
        command=f"ovc clusters add Cluster --pool '{context.pool.name}' --address … --client-id …",
        text=f"Attached to {context.pool.name}: whoever administers that pool looks after it.",
    )
    return form.submit(request, create) or {"page": page}


@view_config(
    route_name="cluster",
    request_method="GET",
    renderer="clusters/cluster.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="cluster_fragment",
    request_method="GET",
    match_param="part=state",
    renderer="clusters/state.pt",
    permission=Privilege.VIEW,
)
def show(context: Any, request: Any) -> dict[str, Any]:
    cluster = context.cluster
    page = ClusterPage(
        title=cluster.name,
        section="storage",
        crumbs=[*_crumbs(request), *crumbs(request, context.pool)],
        pool_id=cluster.pool_id,
        cluster=cluster,
        vpools=vpools.seen(cluster),
        held=vpools.held(request.work, cluster),
        hosts=hosts.listing(request.work),
    )
    return {"page": page}


@view_config(
    route_name="cluster_edit",
    request_method=("GET", "POST"),
    renderer="clusters/form.pt",
    **ALLOWED,
)
def edit(context: Any, request: Any) -> dict[str, Any] | Response:
    cluster = context.cluster
    initial = {
        "name": cluster.name,
        "addresses": "\n".join(cluster.addresses),
        "client_id": cluster.client_id,
        "authority": cluster.authority,
        "fingerprints": "\n".join(cluster.fingerprints),
        "version": cluster.version,
    }
    form = Form(EditedCluster(), initial)

    def save(values: dict[str, Any]) -> Done:
        number = values.pop("version")
        clusters.edit(request.work, cluster, version=number, draft=clusters.Draft(**values))
        return Done(text=f"{cluster.name} is saved and asked again.", path=_path(request, cluster))

    page = ClusterForm(
        title=f"Edit {cluster.name}",
        section="storage",
        crumbs=_crumbs(request),
        form=form,
        button="Save",
        back=_path(request, cluster),
        call=Call("PATCH", f"/storage-clusters/{cluster.id}", {"name": cluster.name}),
        command=f"ovc clusters edit '{cluster.name}' --address …",
    )
    return form.submit(request, save) or {"page": page}


@view_config(
    route_name="cluster_remove",
    request_method=("GET", "POST"),
    renderer="clusters/form.pt",
    **ALLOWED,
)
def remove(context: Any, request: Any) -> dict[str, Any] | Response:
    cluster = context.cluster
    form = Form(Removal())

    def forget(_values: dict[str, Any]) -> Done:
        clusters.remove(request.work, cluster)
        return Done(text=f"{cluster.name} is removed.", path=request.route_path("clusters"))

    page = ClusterForm(
        title=f"Remove {cluster.name}",
        section="storage",
        crumbs=_crumbs(request),
        form=form,
        button=f"Remove {cluster.name}",
        back=_path(request, cluster),
        call=Call("DELETE", f"/storage-clusters/{cluster.id}"),
        command=f"ovc clusters remove '{cluster.name}'",
        text="The console forgets how it is reached. Nothing on the cluster is touched.",
    )
    return form.submit(request, forget) or {"page": page}


@view_config(
    route_name="cluster_vpool",
    request_method=("GET", "POST"),
    renderer="clusters/form.pt",
    **ALLOWED,
)
def add_vpool(context: Any, request: Any) -> dict[str, Any] | Response:
    cluster = context.cluster
    held = {store.target for store in vpools.held(request.work, cluster)}
    free = [pool for pool in vpools.seen(cluster) if pool["guid"] not in held]
    choices = {
        "vpool": [(pool["guid"], pool["name"]) for pool in free],
        "access": [
            (vpools.FILE, "as files on the mount point"),
            (vpools.EDGE, "by the network (edge)"),
        ],
    }
    form = Form(NewVPool(), choices=choices)

    def add(values: dict[str, Any]) -> Done:
        made = vpools.add(
            request.work, cluster, context.pool, guid=values["vpool"],
            name=values["name"], declared=values["declared"], access=values["access"],
        )  # fmt: skip
        return Done(
            text=f"{made.name} serves {context.pool.name} and all below.",
            path=request.route_path("storage_pool", id=made.id),
        )

    page = ClusterForm(
        title=f"Add a vPool of {cluster.name}",
        section="storage",
        crumbs=_crumbs(request),
        form=form,
        button="Add the vPool",
        back=_path(request, cluster),
        call=Call(
            "POST", f"/storage-clusters/{cluster.id}/vpools", {"vpool": "vpool1", "name": "vpool1"}
        ),
        command=f"ovc clusters add-vpool '{cluster.name}' vpool1",
        text="" if free else "Every vPool that was seen is a storage pool already.",
    )
    return form.submit(request, add) or {"page": page}


@view_config(route_name="cluster_look", request_method="POST", **ALLOWED)
def look(context: Any, request: Any) -> Response:
    clusters.look_again(request.work, context.cluster)
    return _back(request, context.cluster, f"{context.cluster.name} is asked now.")


@view_config(route_name="cluster_router", request_method="POST", **ALLOWED)
def place(context: Any, request: Any) -> Response:
    """Say which host stands on a storage router."""
    cluster = context.cluster
    router = clusters.router(cluster, request.POST.get("router", ""))
    host = request.POST.get("host", "")
    clusters.place(request.work, router, int(host) if host.isdigit() else None)
    return _back(request, cluster, f"{router.name} is placed.")


@view_config(route_name="cluster_vpool_remove", request_method="POST", **ALLOWED)
def remove_vpool(context: Any, request: Any) -> Response:
    store = vpools.held_one(request.work, context.cluster, request.POST.get("vpool", ""))
    vpools.remove(request.work, store)
    return _back(request, context.cluster, f"{store.name} is no storage pool any more.")


def _back(request: Any, cluster: Any, told: str) -> Response:
    request.flash(told)
    return HTTPSeeOther(_path(request, cluster))


def _path(request: Any, cluster: Any) -> str:
    path: str = request.route_path("cluster", id=cluster.id)
    return path


def _crumbs(request: Any) -> list[Crumb]:
    return [
        Crumb(label="Storage", url=request.route_path("storage")),
        Crumb(label="Clusters", url=request.route_path("clusters")),
    ]
