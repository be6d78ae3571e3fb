"""Make a random Qwen3 of 115,000 parameters, and what transformers itself generates with it.

`python -m winsim.tiny_model FOLDER`: FOLDER/expected.json has the token ids of each prompt.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
]
TEXT = "hello world the quick brown fox user assistant system"
PROMPTS = ["hello world", "the quick", "brown fox", "user: naïve café 你好"]
NEW_TOKENS = 16
CHAT = (
    "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_tokenizer(folder: Path) -> int:
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([TEXT] * 5, trainer)
    special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.chat_template = CHAT
    fast.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    values = json.loads(settings.read_text(encoding="utf-8"))
    # transformers 5 writes a class that 4.57 does not know; both read this one
    values |= {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": CHAT}
    settings.write_text(json.dumps(values, indent=1), encoding="utf-8")
    return len(fast)


def save_model(folder: Path, vocabulary: int) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=-(-vocabulary // 64) * 64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        eos_token_id=SPECIAL.index("<|im_end|>"),
        pad_token_id=0,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config).to(torch.float32).eval()
    model.save_pretrained(folder)
    settings = folder / "config.json"
    values = json.loads(settings.read_text(encoding="utf-8"))
    # 4.57 reads torch_dtype and rope_theta, 5 reads dtype and rope_parameters
    values |= {"dtype": "float32", "torch_dtype": "float32"}
    values.setdefault("rope_theta", (values.get("rope_parameters") or {}).get("rope_theta", 10000.0))
    settings.write_text(json.dumps(values, indent=1), encoding="utf-8")
    return model


def expected(folder: Path, model: Qwen3ForCausalLM) -> list[list[int]]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=None,
        )
        found.append(out[0, ids.shape[1] :].tolist())
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    model = save_model(folder, save_tokenizer(folder))
    values = {"prompts": PROMPTS, "tokens": expected(folder, model)}
    (folder / "expected.json").write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
