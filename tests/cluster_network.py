"""What any pod network has to do; a test file inherits these tests and says which cluster they are for."""

from tests.cluster_probe import NAMESPACE, Cluster, allow_only, eventually


class PodNetwork:
    """Needs a fixture `cluster`: a Cluster with its probes running."""

    def test_pods_reach_each_other_across_nodes(self, cluster: Cluster) -> None:
        probes = cluster.probes()
        assert len(probes) > 1
        answers = {
            (here, there): cluster.ask(asker, f"http://{asked['status']['podIP']}:8080/")
            for here, asker in probes.items()
            for there, asked in probes.items()
        }
        assert answers == {(here, there): there for here, there in answers}

    def test_service_is_found_by_its_name_and_reaches_every_node(self, cluster: Cluster) -> None:
        probes = cluster.probes()
        asker = next(iter(probes.values()))
        seen: set[str | None] = set()

        def all_seen() -> bool:
            seen.add(cluster.ask(asker, f"http://probe.{NAMESPACE}.svc.cluster.local/"))
            return seen == set(probes)

        assert eventually(all_seen, seconds=60), seen

    def test_network_policy_is_enforced_both_ways(self, cluster: Cluster) -> None:
        asker, asked = list(cluster.probes().values())[:2]
        url = f"http://{asked['status']['podIP']}:8080/"
        assert cluster.ask(asker, url), "reached while there is no policy"
        cluster.apply(allow_only({"friend": "yes"}))
        try:
            assert eventually(lambda: cluster.ask(asker, url) is None), "a stranger is kept out"
            cluster.kubectl("label", "pod", asker["metadata"]["name"], f"--namespace={NAMESPACE}", "friend=yes")
            assert eventually(lambda: cluster.ask(asker, url) is not None), "a friend is let in"
        finally:
            cluster.kubectl("delete", "networkpolicy", "allow-only", f"--namespace={NAMESPACE}")
