"""Rules and experiments of the settings hold for lists of workers and of gateways alike."""

import json
from pathlib import Path

import msgspec

from streams.experiments import read_outcomes
from streams.policy import recommend_policy
from streams.settings import Settings
from tests.builders import a_product
from tests.gateway.harness import running_gateway

RULES = json.dumps(
    [
        {"rule": "exclude", "filter": {"brand": ["Secret"]}},
        {"rule": "pin", "item_id": "vase"},
    ]
)
TWO = json.dumps({"name": "two", "variants": [{"name": "all"}, {"name": "one-each", "most_per_brand": 1}]})


async def test_the_workers_list_and_the_gateways_own_keep_to_the_rules(tmp_path: Path):
    settings = Settings(
        data_dir=tmp_path, partitions=2, text_encoder="none", image_encoder="none", list_rules=RULES, experiment=TWO
    )
    users = {recommend_policy(settings).experiment.variant_of(f"u{n}").name: f"u{n}" for n in range(20)}
    async with running_gateway(settings) as shop:
        for item_id, brand in (("lamp", "Lux"), ("bulb", "Lux"), ("spot", "Lux"), ("vase", "Clay"), ("mask", "Secret")):
            await shop.put_product(msgspec.structs.replace(a_product(item_id), brand=brand))
        await shop.until(lambda: len(shop.gateway.views.catalogue) == 5)
        expected = {"all": {"vase", "lamp", "bulb", "spot"}, "one-each": {"vase", "lamp"}}
        for variant, user in users.items():
            click = {"user_id": user, "item_id": "lamp", "type": "click"}
            assert (await shop.client.post("/v1/clicks", json=click)).status_code == 202

            async def stands(user=user) -> bool:
                return await shop.gateway.store.get_list(user) is not None

            await shop.until(stands)
            ready = await shop.recommendations(user)
            made = await shop.recommendations(user, exclude="nothing-of-ours")  # not the list in Redis
            for one in (ready, made):
                item_ids = [item["item_id"] for item in one["items"]]
                assert one["variant"] == f"two:{variant}"
                assert item_ids[0] == "vase"
                assert len(item_ids) == len(expected[variant])
                assert "mask" not in item_ids
        served = {f"two:{variant}": {user} for variant, user in users.items()}

        async def are_served() -> bool:  # the log has a list a moment before or after Redis does
            found = await read_outcomes(shop.parts.log, settings, recommend_policy(settings).confidence)
            return {variant: set(of_users) for variant, of_users in found.items()} == served

        await shop.until(are_served)
