"""What the texts are about: a topic, the words that name it, and words that belong to it."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """`names`: a text on the topic contains one of these words. `words`: keywords for instructions."""

    name: str
    names: tuple[str, ...]
    words: tuple[str, ...]


# topic | the words that name it | keywords
_LISTED = """
rivers | river rivers | water bridge fish boat
honey bees | bee honey bees | flower garden summer hive
bread | bread | flour oven warm butter
trains | train trains | station ticket window track
rain | rain rains rainy raindrop raindrops rainfall | cloud umbrella street garden
the moon | moon moons lunar moonlight | night light silence tide
dogs | dog dogs | friend walk tail garden
cats | cat cats | mouse sleep window night
winter | winter | snow cold fire coat
summer | summer | sun beach heat holiday
apples | apple apples | tree red sweet autumn
coffee | coffee | morning cup bean smell
tea | tea | cup leaf water evening
bicycles | bicycle bike cycling bicycles bikes cyclist cyclists | wheel road chain hill
books | book books reading | page story reader shelf
libraries | library libraries | book silence table student
schools | school schools | teacher child lesson bell
music | music | song dance piano silence
football | football soccer footballs | ball goal team grass
swimming | swim swimming swimmer swimmers swims | water pool arm breath
mountains | mountain mountains | snow path stone view
forests | forest forests | tree bird path shadow
the sea | sea ocean seas oceans | wave salt ship wind
islands | island islands | boat sand palm storm
deserts | desert deserts | sand heat camel night
gardens | garden gardens | flower soil rain bird
roses | rose roses | red thorn garden gift
trees | tree trees | leaf root shade bird
birds | bird birds | wing song nest sky
fish | fish | water river net scale
horses | horse horses | field rider speed grass
elephants | elephant elephants | trunk herd memory water
snow | snow snowy snowfall snowflake snowflakes | white cold child street
wind | wind winds windy breeze breezes gust | tree sail cloud night
clouds | cloud clouds | sky rain white shape
stars | star stars | night sky light distance
the sun | sun solar sunlight sunshine | light heat morning plant
farms | farm farms farmer farmers farming | field cow corn morning
markets | market markets | fruit price crowd noise
kitchens | kitchen kitchens | knife table smell stove
soup | soup | bowl spoon warm salt
cheese | cheese | milk bread cellar taste
chocolate | chocolate | sweet gift milk dark
birthdays | birthday birthdays | cake candle gift friend
friendship | friend friendship friends friendships | trust time laugh help
families | family families | home child table story
houses | house houses | door roof window garden
bridges | bridge bridges | river stone road cable
cities | city cities | street crowd light noise
villages | village villages | church field road neighbour
doctors | doctor doctors | health hospital care trust
nurses | nurse nurses | hospital night care patient
teachers | teacher teaching teachers teach | lesson child question patience
firefighters | firefighter firefighting firemen firefighters fireman | smoke ladder water danger
sailors | sailor sailing sailors sail | ship storm rope harbour
painters | painter painting painters paintings | colour wall light brush
photographs | photo photograph photography photographs photos | light memory face album
films | film movie films movies | story screen actor music
newspapers | newspaper newspapers | morning page headline reader
letters from a friend | letter letters | paper stamp word distance
telephones | phone telephone phones telephones | voice call number pocket
computers | computer computers | screen key memory work
robots | robot robots | machine arm factory work
airplanes | airplane plane airplanes planes | wing sky pilot ticket
ships | ship ships | harbour wave captain cargo
clocks | clock clocks | hour hand wall noise
money | money | coin bank price work
shoes | shoe shoes | foot leather walk street
umbrellas | umbrella umbrellas | rain hand wind street
candles | candle candles | light wax night table
dreams | dream dreaming dreams | night sleep morning fear
sleep | sleep sleeping | night bed dream rest
breakfast | breakfast | bread egg morning table
picnics | picnic picnics | grass basket sun blanket
camping | camp camping camper campers camps | tent fire night forest
hiking | hike hiking hikes hiker hikers | path boot hill water
dancing | dance dancing dancer dances dancers | music foot partner floor
singing | sing singing singer singers sings | voice song choir breath
chess | chess | king board move time
gardening | garden gardening gardener | soil seed hand rain
fishing | fish fishing | river patience boat morning
cooking | cook cooking | pot salt fire taste
spring | spring | flower rain green bird
autumn | autumn | leaf wind harvest rain
volcanoes | volcano volcanoes | fire ash rock danger
glaciers | glacier glaciers | ice valley water time
lighthouses | lighthouse lighthouses | sea light storm ship
castles | castle castles | wall king tower stone
museums | museum museums | art hall ticket silence
windmills | windmill windmills | wind grain wheel field
lakes | lake lakes | water boat fish ice
beaches | beach beaches | sand wave shell sun
storms | storm storms | wind thunder roof night
rainbows | rainbow rainbows | colour rain sky light
butterflies | butterfly butterflies | wing flower colour garden
spiders | spider spiders | web leg corner fear
potatoes | potato potatoes | field soup salt soil
oranges | orange oranges | juice tree sweet peel
pancakes | pancake pancakes | butter sugar morning pan
pizza | pizza | cheese oven slice friend
sheep | sheep lamb lambs | wool hill grass shepherd
cows | cow cows cattle | milk grass farm barn
chickens | chicken chickens hen hens | egg farm corn yard
ducks | duck ducks | pond water bread wing
frogs | frog frogs | pond jump green night
owls | owl owls | night wing mouse tree
whales | whale whales | sea song ship deep
dolphins | dolphin dolphins | sea jump boat friend
turtles | turtle turtles | shell slow egg beach
wolves | wolf wolves | pack night snow howl
bears | bear bears | honey forest winter fish
ants | ant ants | nest work line sugar
snails | snail snails | shell slow rain garden
rabbits | rabbit rabbits | ear field carrot jump
squirrels | squirrel squirrels | nut tree tail winter
penguins | penguin penguins | ice egg fish cold
lions | lion lions | pride hunt sun mane
carrots | carrot carrots | root soup garden rabbit
tomatoes | tomato tomatoes | red salad sun garden
bananas | banana bananas | yellow peel sweet monkey
lemons | lemon lemons | sour yellow tea juice
grapes | grape grapes | wine bunch sweet hill
rice | rice | water field bowl grain
honey | honey | bee sweet tea jar
salt | salt | sea soup taste white
milk | milk | cow glass white morning
butter | butter | bread milk pan yellow
cakes | cake cakes | sugar birthday candle oven
sandwiches | sandwich sandwiches | bread cheese lunch hand
hats | hat hats | head sun wind wool
gloves | glove gloves | hand cold wool winter
chairs | chair chairs | table leg wood rest
lamps | lamp lamps | light desk night shade
mirrors | mirror mirrors | face glass wall light
keys | key keys | door lock pocket metal
stairs | stairs stair staircase | step foot house floor
elevators | elevator elevators lift lifts | floor button building door
buses | bus buses | street ticket window driver
taxis | taxi taxis cab cabs | street night driver money
tunnels | tunnel tunnels | dark train mountain light
airports | airport airports | plane bag ticket gate
hotels | hotel hotels | room key bed guest
restaurants | restaurant restaurants | table waiter meal menu
theaters | theater theaters theatre theatres | stage actor curtain play
circuses | circus circuses | clown tent animal ticket
playgrounds | playground playgrounds | child swing sand slide
tennis | tennis | ball net court serve
running | run runs running runner runners | shoe road breath morning
skiing | ski skis skiing skier skiers | snow hill cold speed
sledding | sled sleds sledding | snow hill child cold
kites | kite kites | wind string sky beach
puppets | puppet puppets | string hand child story
guitars | guitar guitars | string song hand wood
drums | drum drums | stick noise hand rhythm
violins | violin violins | string bow music wood
"""

TOPICS = tuple(
    Topic(name, tuple(names.split()), tuple(words.split()))
    for name, names, words in (line.split(" | ") for line in _LISTED.strip().splitlines())
)
