"""`extract cnn` against plain torchvision: the same photo, the same frames.

VIDREP_DATA=... python benchmarks/backbones.py      writes docs/results/backbones.md
"""

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from recording import Recording, real_data
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

import vidrep

MODEL = "squeezenet1_1"
# What extract takes by itself (the input of the last weighted layer), and the network's output.
LAYER, OUTPUT = "classifier.0", "flatten"


def plain_torchvision(frames: list[NDArray[np.uint8]], weights: str, batch_size: int) -> torch.Tensor:
    """Compute the features as a script without vidrep would: the preset of the weights, then the network, (N, 512)."""
    network = models.get_model(MODEL, weights=None)
    network.load_state_dict({name: value.float() for name, value in torch.load(weights, weights_only=True).items()})
    extractor = create_feature_extractor(network, [LAYER]).eval()
    preset = models.get_model_weights(MODEL).DEFAULT.transforms()
    images = torch.stack([preset(torch.from_numpy(frame).permute(2, 0, 1)) for frame in frames])
    with torch.inference_mode():
        maps = torch.cat([extractor(batch)[LAYER] for batch in torch.split(images, batch_size)])
    return maps.mean(dim=(2, 3)).half()


def main() -> None:
    """Compare, and write the page."""
    data = real_data()
    record = Recording("`extract cnn` against plain torchvision", data)
    record.add("Network squeezenet1_1 with the given ImageNet weights. Made by `python benchmarks/backbones.py`.")
    weights = data / "weights" / "squeezenet1_1_imagenet_fp16.pth"

    words = (data / "weights" / "imagenet_synset_words.txt").read_text().splitlines()
    classifier = vidrep.CnnExtractor(model=MODEL, layer=OUTPUT, weights=str(weights), precision="fp32", batch_size=1)
    photo = np.array(Image.open(data / "photos" / "dog2.jpg").convert("RGB"))
    logits = torch.from_numpy(classifier.encode(classifier.preparation.for_video("dog")(photo))[0]).float()
    top = logits.softmax(dim=0).topk(3)
    rows = [f"| {words[i].partition(' ')[2]} | {p:.3f} |" for p, i in zip(top.values, top.indices, strict=True)]
    record.add("The photo of the dog, top three:\n\n| class | probability |\n|---|---|\n" + "\n".join(rows))

    clip = data / "tennis7" / "serve" / "serve1.mp4"
    command = f"vidrep extract cnn $VIDREP_DATA/tennis7/serve/serve1.mp4 --model {MODEL} "
    command += "--weights $VIDREP_DATA/weights/squeezenet1_1_imagenet_fp16.pth"
    ours = {}
    for precision in ("fp32", "bf16"):
        record.run(f"{command} -o {precision}.h5 --precision {precision}", keep=precision == "fp32")
        features = vidrep.open_features(record.folder / f"{precision}.h5")
        ours[precision] = torch.from_numpy(np.array(features.rows(0)))
    with av.open(str(clip)) as container:
        frames = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
    largest = ours["fp32"].max()
    lines = []
    for batch_size in (32, 7, 1):
        plain = plain_torchvision(frames, str(weights), batch_size)
        for precision, features_of in ours.items():
            difference = (features_of.float() - plain.float()).abs().max().item()
            equal = (features_of == plain).float().mean().item()
            cosine = torch.nn.functional.cosine_similarity(features_of.float(), plain.float()).min().item()
            lines.append(f"| {precision} | {batch_size} | {difference:.2g} | {equal:.4f} | {cosine:.6f} |")
    record.add(
        f"Features of the {len(frames)} frames of serve1.mp4 (float16, largest value {largest:.2f}) against a "
        "script of 20 lines, `plain_torchvision` in benchmarks/backbones.py, which reads with PyAV, too, and takes the "
        "network in torch's default memory format:\n\n"
        "| precision | batch size of the script | largest difference | share of equal values | least cosine |\n"
        "|---|---|---|---|---|\n" + "\n".join(lines)
    )
    record.save("backbones")


if __name__ == "__main__":
    main()
