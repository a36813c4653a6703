from ferrnn._src.datasets.absent import (
    boston_housing as boston_housing,
)
from ferrnn._src.datasets.absent import (
    california_housing as california_housing,
)
from ferrnn._src.datasets.absent import (
    cifar10 as cifar10,
)
from ferrnn._src.datasets.absent import (
    cifar100 as cifar100,
)
from ferrnn._src.datasets.absent import (
    fashion_mnist as fashion_mnist,
)
from ferrnn._src.datasets.absent import (
    imdb as imdb,
)
from ferrnn._src.datasets.absent import (
    mnist as mnist,
)
from ferrnn._src.datasets.absent import (
    reuters as reuters,
)
from ferrnn._src.datasets.seattle_weather import (
    DailyWeather as DailyWeather,
)
from ferrnn._src.datasets.seattle_weather import (
    load_seattle_weather as load_seattle_weather,
)
