"""Callbacks refuse in their constructors what they cannot do when it is due."""

import pytest

from ferrnn import callbacks

WRONG = {
    "a model as .h5": (
        lambda: callbacks.ModelCheckpoint("best.h5"),
        r"must end in `.keras`.*best\.h5",
    ),
    "weights as .keras": (
        lambda: callbacks.ModelCheckpoint("best.keras", save_weights_only=True),
        r"must end in `.weights.h5`",
    ),
    "batches of an epoch": (
        lambda: callbacks.ModelCheckpoint("{epoch}-{batch}.keras"),
        "names 'batch'.*save_freq='epoch'",
    ),
    "validation after batches": (
        lambda: callbacks.ModelCheckpoint("{val_loss:.2f}.keras", save_freq=5),
        "names 'val_loss'.*save_freq=5",
    ),
    "the best after batches": (
        lambda: callbacks.ModelCheckpoint("a.keras", save_best_only=True, save_freq=5),
        "monitor='val_loss', which is known after epochs",
    ),
    "a place without a name": (lambda: callbacks.ModelCheckpoint("{}.keras"), "names ''"),
    "no format": (lambda: callbacks.ModelCheckpoint("{epoch.keras"), "is no format"),
    "no batches": (lambda: callbacks.ModelCheckpoint("a.keras", save_freq=0), "save_freq: 0"),
    "no batches to back up": (lambda: callbacks.BackupAndRestore("a", save_freq=-1), "-1"),
    "two characters": (lambda: callbacks.CSVLogger("a.csv", separator=", "), "one character"),
    "no function": (lambda: callbacks.LambdaCallback(on_epoch_end=3), "`on_epoch_end` must be"),
    "no schedule": (lambda: callbacks.LearningRateScheduler(0.1), "`schedule` must be a function"),
    "no frequency": (lambda: callbacks.TensorBoard("a", update_freq=0), "`update_freq` must be"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_done_is_refused_at_once(kind):
    make, message = WRONG[kind]
    with pytest.raises((TypeError, ValueError), match=message):
        make()


@pytest.mark.parametrize("path", ["{epoch:02d}-{val_loss:.2f}.keras", "{loss}.keras", "a.keras"])
def test_what_may_be_known_is_taken(path):
    assert callbacks.ModelCheckpoint(path, save_best_only=True).filepath == path
    assert callbacks.ModelCheckpoint("{batch:03d}.keras", save_freq=2).save_freq == 2
